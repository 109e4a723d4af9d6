/** A promise that knows whether anybody waits for it, by `await`, `then`, `catch` or `finally`. Those give ordinary promises. */
export class WatchedPromise<Result> extends Promise<Result> {
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  #isAwaited = false

  /** Whether anybody has begun to wait. */
  get isAwaited(): boolean {
    return this.#isAwaited
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise
  override then<Fulfilled = Result, Rejected = never>(
    ...handlers: Parameters<Promise<Result>['then']>
  ): Promise<Fulfilled | Rejected> {
    this.#isAwaited = true
    return super.then(...handlers) as Promise<Fulfilled | Rejected>
  }

  /** Has `act` called if it fails, which does not count as waiting. */
  whenRejected(act: (error: unknown) => void): void {
    super.then(undefined, act)
  }
}
