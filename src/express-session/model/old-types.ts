// An app that keeps @types/express-session keeps what it declares there. What ours and theirs both declare must agree, so ours is read
// out of theirs. Importing theirs would be simpler. But that brings them into every program that can find them, such as that of
// another app in the same workspace.

/** @ts-ignore where a program is without @types/express-session, this is `any` */
export type OldStore = Express.SessionStore

/** Their `SessionData`. */
export type OldData = OldStore extends {
  load(id: string, callback: (error: unknown, data?: infer Data) => unknown): void
}
  ? Data
  : never

/** Their `Session`. */
export type OldSession = OldStore extends {
  createSession(request: never, data: never): infer Made & OldData
}
  ? Made
  : never

/** `Then` in a program that has @types/express-session. */
export type WithOldTypes<Then, Else> = [unknown] extends [OldStore] ? Else : Then
