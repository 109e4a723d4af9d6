// An app that keeps @types/express-session keeps what it declares there. Types that both packages declare must agree,
// so ours are inferred from theirs. To import theirs would be simpler. But it would bring them into every program that
// can find them, such as that of another app in the same workspace.

/** @ts-ignore where a program is without @types/express-session, this is `any` */
export type OldStore = Express.SessionStore

/** `SessionData` of @types/express-session. */
export type OldData = OldStore extends {
  load(id: string, callback: (error: unknown, data?: infer Data) => unknown): void
}
  ? Data
  : never

/** `Session` of @types/express-session. */
export type OldSession = OldStore extends {
  createSession(request: never, data: never): infer Made & OldData
}
  ? Made
  : never

/** `Then` in a program that has @types/express-session; otherwise `Else`. */
export type WithOldTypes<Then, Else> = [unknown] extends [OldStore] ? Else : Then
