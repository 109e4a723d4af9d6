import { randomBytes } from 'node:crypto'
import { stringifySetCookie } from 'cookie'
import type { Signer } from '../../core/signer.js'
import { cookieValues } from '../cookie.js'

/** How long a browser keeps a flow, in seconds: the user may have to sign in at the hub meanwhile. */
export const flowLife = 300
/** By how much the clocks of a site's processes may differ, in seconds. */
const clockDifference = 600
/** How long it is remembered that a flow has just been completed, in seconds. */
const doneLife = 10
/** How long a silent check is not repeated, in seconds. */
const askedLife = 600
const longestHeader = 16_384 // characters
/** How many flows a browser keeps, and how many characters their cookies have. Some proxies take 8,000 in all. */
const mostFlows = 5
const mostFlowCharacters = 4_096

/** What the site keeps in the browser while a flow is under way. Only this browser can complete it. */
export interface Flow {
  readonly state: string
  /** The PKCE verifier (RFC 7636, section 4.1). */
  readonly verifier: string
  readonly nonce: string
  /** Where the browser goes on afterwards. It was checked before. */
  readonly returnTo: string
  /** When it began, by this process's clock. */
  readonly begunAt: number
  /** When it began, by the store's clock; `undefined` if the visitor had no session that would tell. */
  readonly askedAt: number | undefined
  /** The session that was signed in when it began: its publicId. */
  readonly from: string | undefined
  /** Whether it is a silent check. */
  readonly isSilent: boolean
  /** Whether it began right after another one was completed, as if the browser had kept no session cookie. */
  readonly isAgain: boolean
  /** The most seconds that may have passed since the user signed in at the hub. */
  readonly maxAge: number | undefined
}

/** Begins a flow: its random parts have 256 bits each. */
export function newFlow(parts: Omit<Flow, 'state' | 'verifier' | 'nonce' | 'begunAt'>): Flow {
  const [state, verifier, nonce] = [random(), random(), random()]
  return { state, verifier, nonce, begunAt: Date.now(), ...parts }
}

function random(): string {
  return randomBytes(32).toString('base64url')
}

/**
 * The cookies of a site's hand-off. Each flow has its own, so that tabs do not disturb each other, as long as there is room. On HTTPS, their
 * names begin with `__Host-`: no other host can set them (RFC 6265bis, section 4.1.3.2).
 */
export class FlowCookies {
  readonly #signer: Signer
  readonly #isSecure: boolean
  readonly #prefix: string

  constructor(signer: Signer, isSecure: boolean) {
    this.#signer = signer
    this.#isSecure = isSecure
    this.#prefix = isSecure ? '__Host-handoff' : 'handoff'
  }

  /** The flow of a state that this browser has begun; `undefined` if it has not, or too long ago. */
  flow(cookies: string | undefined, state: string): Flow | undefined {
    for (const value of cookieValues(cookies?.slice(0, longestHeader), this.#nameOf(state))) {
      const verified = this.#signer.verify(value)
      const flow = verified && (JSON.parse(Buffer.from(verified.token, 'base64url').toString()) as Flow)
      const isKept = flow && Date.now() - flow.begunAt < (flowLife + clockDifference) * 1_000
      if (isKept && flow.state === state) return flow
    }
    return undefined
  }

  /** The cookies that begin a flow. Where the browser has many that were never completed, they also drop those. */
  begin(flow: Flow, cookies: string | undefined): string[] {
    const value = this.#signer.sign(Buffer.from(JSON.stringify(flow)).toString('base64url'))
    const name = this.#nameOf(flow.state)
    const others = this.#flowPairs(cookies?.slice(0, longestHeader) ?? '')
    const characters = [...others.values(), `${name}=${value}`].join('; ').length
    const isRoom = others.size < mostFlows && characters <= mostFlowCharacters
    const dropped = isRoom ? [] : [...others.keys()].map((other) => this.#cookie(other, '', 0))
    return [...dropped, this.#cookie(name, value, flowLife)]
  }

  /** Drops the cookie of a flow. */
  end({ state }: Flow): string {
    return this.#cookie(this.#nameOf(state), '', 0)
  }

  /** Drops the cookie of a flow, and notes that it was completed just now. */
  done(flow: Flow): string[] {
    return [this.end(flow), this.#cookie(this.#markName, flow.isAgain ? 'again' : 'done', doneLife)]
  }

  /** Notes that the hub was asked silently. What it answers may replace this. */
  asked(): string {
    return this.#cookie(this.#markName, 'asked', askedLife)
  }

  /** Notes that the user has signed out here: until the browser is closed, nothing signs them in silently. */
  signedOut(): string {
    return this.#cookie(this.#markName, 'out')
  }

  /** What was noted last. */
  mark(cookies: string | undefined): string | undefined {
    return cookieValues(cookies?.slice(0, longestHeader), this.#markName)[0]
  }

  get #markName(): string {
    return `${this.#prefix}-mark`
  }

  #nameOf(state: string): string {
    return `${this.#prefix}.${state.slice(0, 12).replaceAll(/[^\w-]/g, '')}`
  }

  /** The cookies of flows, whole, by their names. */
  #flowPairs(header: string): Map<string, string> {
    const pairs = header.split(';').map((pair) => [pair.split('=', 1)[0]!.trim(), pair.trim()] as const)
    return new Map(
      pairs.filter(([name]) => name.startsWith(`${this.#prefix}.`) && /^[\w.-]{1,40}$/.test(name)),
    )
  }

  #cookie(name: string, value: string, maxAge?: number): string {
    const attributes = { path: '/', httpOnly: true, sameSite: 'lax', secure: this.#isSecure } as const
    return stringifySetCookie({ name, value, ...attributes, ...(maxAge !== undefined && { maxAge }) })
  }
}
