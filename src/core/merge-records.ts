import { isDeepStrictEqual } from 'node:util'
import { mergeInto } from './merge.js'
import type { SessionRecord } from './record.js'
import type { Session } from './session.js'
import type { SessionForm } from './session-form.js'
import type { WorkContext } from './work-context.js'

type Data = Record<string, unknown>

/**
 * Merges into the session what others changed from `base`, the record that it was read from, to `fresh`, the one
 * that is stored now. `undefined` means that the session has ended: only what this request put there is left.
 */
export function mergeRecords(
  context: WorkContext,
  form: SessionForm,
  session: Session,
  base: SessionRecord,
  fresh: SessionRecord | undefined,
): void {
  const plain = context.decode({ ...base, data: context.encode(form.dataOf(session)) }) ?? {}
  const before = context.decode(base) ?? {}
  const theirs = fresh ? (context.decode(fresh) ?? before) : {}
  // Of a session that has ended there is nothing to agree on.
  const resolve = fresh && context.merge
  mergeInto(session as unknown as Data, plain, form.visible(before), form.visible(theirs), resolve)
  form.mergeRest?.(session, before, theirs)
}

/** Puts data that was encoded back into the session, in place, so that references which a handler holds into it stay good. */
export function restore(
  context: WorkContext,
  form: SessionForm,
  session: Session,
  record: SessionRecord,
): void {
  const wanted = context.decode(record) ?? {}
  let held: Data
  try {
    held = context.decode({ ...record, data: context.encode(form.dataOf(session)) }) ?? {}
  } catch {
    // What is in hand cannot even be encoded: it has nothing to say.
    return form.refill(session, wanted)
  }
  const visible = form.visible(held)
  mergeInto(session as unknown as Data, visible, visible, form.visible(wanted))
  form.mergeRest?.(session, held, wanted)
  // Where one object stands in two places of the session, what was put back in the one is in the other too.
  const restored = context.decode({ ...record, data: context.encode(form.dataOf(session)) }) ?? {}
  if (!isDeepStrictEqual(form.visible(restored), form.visible(wanted))) form.refill(session, wanted)
  else putInOrder(session as unknown as Data, Object.keys(form.visible(wanted)))
}

/** What is stored tells one order of names from another. */
function putInOrder(data: Data, names: readonly string[]): void {
  const held = Object.keys(data).filter((name) => names.includes(name))
  if (isDeepStrictEqual(held, names)) return
  for (const name of names) {
    const value = data[name]
    delete data[name]
    data[name] = value
  }
}
