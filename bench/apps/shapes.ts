/** What the bench's apps keep in a session. Each shape has some of it. */
export interface SessionContents {
  passport?: { user: { id: number } }
  flash?: Record<string, string[]>
  user?: { id: number; name: string; email: string; role: string }
  cart?: { currency: string; items: { sku: string; quantity: number; cents: number }[] }
  preferences?: Preferences
  name?: string
  text?: string
  views?: number
}

interface Preferences {
  theme: { mode: string; density: string; font: { family: string; size: number } }
  notifications: Record<string, Record<string, { on: boolean; sound: string | null }>>
  tables: Record<
    string,
    { columns: { name: string; width: number; shown: boolean }[]; sort: [string, string] }
  >
}

/** A session as a real app has it: what a sign-in puts into it, what a page reads of it, and what an action changes. */
export interface Shape {
  /** For titles of tables. */
  readonly title: string
  readonly begin: () => SessionContents
  /** What a page shows. A session may have none of it: that of a visitor who is not signed in. */
  readonly read: (session: SessionContents) => object
  /** Changes something small. Never the same twice in a row, and it does not grow. */
  readonly change: (session: SessionContents) => void
}

const user = { id: 4711, name: 'Ada Byron', email: 'ada@example.com', role: 'customer' }

/** Counts a view, as the first example of express-session's README does. */
function countView(session: SessionContents): void {
  session.views = (session.views ?? 0) + 1
}

function text(title: string, length: number): Shape {
  return {
    title,
    begin: () => ({ name: user.name, text: 'x'.repeat(length) }),
    read: ({ name }) => ({ hello: name ?? 'nobody' }),
    change: countView,
  }
}

export const shapes = {
  passport: {
    title: 'Passport’s user and a flash message',
    begin: () => ({ passport: { user: { id: user.id } }, flash: { success: ['Welcome back, Ada.'] } }),
    read: ({ passport, flash }) => ({ user: passport?.user.id, messages: flash?.['success']?.length ?? 0 }),
    change: countView,
  },
  cart: {
    title: 'a user and a cart of five items',
    begin: () => ({ user: { ...user }, cart: { currency: 'EUR', items: cartItems() } }),
    read: ({ user, cart }) => ({ hello: user?.name ?? 'nobody', items: cart?.items.length ?? 0 }),
    change(session) {
      const item = session.cart?.items[2]
      if (item) item.quantity = (item.quantity % 9) + 1
    },
  },
  preferences: {
    title: '4 kB of nested preferences',
    begin: () => ({ name: user.name, preferences: preferences() }),
    read: ({ name, preferences }) => ({ hello: name ?? 'nobody', theme: preferences?.theme.mode ?? 'light' }),
    change({ preferences }) {
      if (preferences) preferences.theme.mode = preferences.theme.mode === 'dark' ? 'light' : 'dark'
    },
  },
  flat: text('a name and a text of 0.3 kB', 300),
  large: text('a name and a text of 40 kB', 40_000),
} satisfies Record<string, Shape>

export type ShapeName = keyof typeof shapes

/** The ones that are as large as most sessions are. */
export const commonShapes: readonly ShapeName[] = ['passport', 'cart', 'preferences', 'flat']

/** The one that every mark holds for. */
export const mainShape: ShapeName = 'cart'

/** @throws Error if there is none of that name */
export function shapeNamed(name: string): ShapeName {
  if (Object.hasOwn(shapes, name)) return name as ShapeName
  throw new Error(`There is no shape "${name}". There are ${Object.keys(shapes).join(', ')}.`)
}

function cartItems() {
  return ['A17', 'C02', 'K99', 'M40', 'T31'].map((sku, at) => ({
    sku,
    quantity: at + 1,
    cents: 450 + 125 * at,
  }))
}

function preferences(): Preferences {
  const of = <Value>(names: readonly string[], value: (at: number) => Value) =>
    Object.fromEntries(names.map((name, at) => [name, value(at)]))
  const topics = [
    'orders',
    'invoices',
    'replies',
    'mentions',
    'security',
    'newsletter',
    'releases',
    'surveys',
    'reminders',
    'digests',
  ]
  return {
    theme: { mode: 'light', density: 'compact', font: { family: 'Inter', size: 14 } },
    notifications: of(topics, (topic) =>
      of(['email', 'push', 'text', 'desktop'], (channel) => ({
        on: (topic + channel) % 3 !== 0,
        sound: channel === 1 ? 'chime' : null,
      })),
    ),
    tables: of(
      ['orders', 'customers', 'products', 'payments', 'shipments', 'returns', 'reviews'],
      (table) => ({
        columns: ['number', 'date', 'name', 'state', 'total', 'note'].map((name, at) => ({
          name,
          width: 80 + 20 * ((table + at) % 5),
          shown: at < 5,
        })),
        sort: ['date', table % 2 === 0 ? 'descending' : 'ascending'],
      }),
    ),
  }
}
