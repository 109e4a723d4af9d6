export interface Product {
  readonly id: string
  readonly name: string
  readonly about: string
  /** In whole euros. */
  readonly price: number
  readonly badge?: string
}

export const products: readonly Product[] = [
  { id: 'overcoat', name: 'Overcoat', about: 'Camel wool, half lined', price: 320, badge: 'Favourite' },
  { id: 'raincoat', name: 'Raincoat', about: 'Waxed cotton, storm flap', price: 185 },
  { id: 'umbrella', name: 'Umbrella', about: 'Beech handle, eight ribs', price: 65 },
  { id: 'hat', name: 'Felt hat', about: 'Soft crown, grosgrain band', price: 95, badge: 'New' },
  { id: 'scarf', name: 'Scarf', about: 'Lambswool, woven stripe', price: 48 },
  { id: 'hanger', name: 'Hanger', about: 'Cedar, brass hook', price: 18 },
]

export type Cart = Readonly<Record<string, number>>

/** The lines of a cart and their total, without unknown products and invalid quantities. */
export function summaryOf(cart: Cart = {}) {
  const lines = products.flatMap((product) => {
    const quantity = cart[product.id] ?? 0
    return quantity > 0 ? [{ product, quantity, price: quantity * product.price }] : []
  })
  return {
    lines,
    items: lines.reduce((sum, line) => sum + line.quantity, 0),
    total: lines.reduce((sum, line) => sum + line.price, 0),
  }
}

/** An amount in euros. No line break divides it. */
export function euros(amount: number): string {
  return `€\u00a0${amount}`
}
