import type { SessionForm } from './session-form.js'

/** What the browser must be told: nothing, for its `token` is still good or there is none; a new token; or to drop the one it has. */
export type Outcome =
  | { readonly action: 'keep'; readonly token: string | undefined }
  | { readonly action: 'issue'; readonly token: string }
  | { readonly action: 'clear' }

/** The tokens of one unit of work: the one that the browser holds, the stored session's, and the one to come. */
export class SessionTokens {
  /** The browser's, if it led to a live record. */
  readonly client: string | undefined
  readonly #form: Pick<SessionForm, 'createToken'>
  #stored: string | undefined
  #planned: string | undefined
  /** What an ended session went by. */
  #retired: string | undefined
  /** The last token that the app has chosen. */
  #chosen: string | undefined
  #ended = false

  constructor(client: string | undefined, form: Pick<SessionForm, 'createToken'>) {
    this.client = client
    this.#form = form
    this.#stored = client
  }

  /** The tokens of a session that begins in place of this one, for the same browser. */
  successor(): SessionTokens {
    const next = new SessionTokens(this.client, this.#form)
    next.#stored = undefined
    next.#ended = this.#ended
    return next
  }

  /** What the session goes by, or went by until it ended: once stored under it, if that is still to come. */
  get current(): string {
    return this.#planned ?? this.#stored ?? this.#retired ?? this.plan()
  }

  /** Whether the next commit has a new token to store. */
  get planned(): boolean {
    return this.#planned !== undefined
  }

  /** Whether the app has chosen the planned token, so that a session may be stored under it already. */
  get chosen(): boolean {
    return this.planned && this.#planned === this.#chosen
  }

  /** Plans a new token for the next insert or rotation. */
  plan(): string {
    return (this.#planned = this.#form.createToken())
  }

  /** Plans a token that the app has chosen. */
  choose(token: string): void {
    this.#chosen = this.#planned = token
  }

  unplan(): void {
    this.#planned = undefined
  }

  /** The planned token is stored. */
  store(): void {
    this.#stored = this.#planned
    this.#planned = undefined
  }

  /** The session has ended: it keeps the name that it had, and no stored session goes by it. */
  retire(): void {
    const last = this.#planned ?? this.#stored
    this.forget()
    this.#retired = last
  }

  /** No session goes by these tokens any more. */
  forget(): void {
    this.#retired = undefined
    this.#stored = undefined
    this.#planned = undefined
  }

  /** This unit of work ended a stored session. */
  end(): void {
    this.#ended = true
  }

  /** What the browser must be told of all that was stored so far: derived, so that it cannot be forgotten. */
  get action(): Outcome['action'] {
    if (this.#stored !== undefined) return this.#stored === this.client ? 'keep' : 'issue'
    // Not for a session that is merely gone: a rotation in a parallel request may have moved it, and
    // dropping the browser's cookie would drop the new one.
    return this.#ended && this.client !== undefined ? 'clear' : 'keep'
  }

  get outcome(): Outcome {
    const { action } = this
    if (action === 'clear') return { action }
    return action === 'issue' ? { action, token: this.#stored! } : { action, token: this.#stored }
  }
}
