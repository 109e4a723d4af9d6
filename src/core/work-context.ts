import type { SessionEvents } from './events.ts'
import type { SessionKey, SessionRecord } from './record.ts'
import type { SessionWrite, WriteResult } from './store.ts'

/** What work on sessions needs of the engine. */
export interface WorkContext {
  /** What the store knows a token's session by. */
  keyOf(token: string): SessionKey
  find(key: SessionKey): Promise<SessionRecord | undefined>
  write(write: SessionWrite): Promise<WriteResult>
  /** Ends a user's session, whatever its key is by now; false if there is none. */
  revoke(userId: string, publicId: string): Promise<boolean>
  /** Asks the store for anything else; its failure becomes a typed error and an event. */
  asking<Answer>(doing: string, ask: () => Promise<Answer>): Promise<Answer>
  /** Throws ERR_SESSION_DATA or ERR_SESSION_TOO_LARGE. */
  encode(data: Record<string, unknown>): Uint8Array
  /** `undefined`, and an event, for a record that cannot be read, or that `accepts` refuses. */
  decode(
    record: SessionRecord,
    accepts?: (data: Record<string, unknown>) => boolean,
  ): Record<string, unknown> | undefined
  announce<Name extends keyof SessionEvents>(name: Name, ...event: SessionEvents[Name]): void
}
