import { errorNumber } from './error-codes.js'
import { numberOf } from './pool.js'

/** What came of a statement that is to create one id: `exists` if that is taken. */
export async function doneOrExists(sent: Promise<unknown>): Promise<'done' | 'exists'> {
  try {
    await sent
    return 'done'
  } catch (error) {
    if (numberOf(error) === errorNumber.duplicateKey) return 'exists'
    throw error
  }
}

/**
 * Inserts one record, for which an expired one that has its id makes way. Of several that do so at the same moment the id lets
 * one in, and the others find what that has stored.
 *
 * @param removeExpired removes what has the id, if it has expired.
 */
export async function insertOne(
  insert: () => Promise<unknown>,
  removeExpired: () => Promise<unknown>,
): Promise<'done' | 'exists'> {
  if ((await doneOrExists(insert())) === 'done') return 'done'
  await removeExpired()
  // Also if that removed nothing: the sweep may have been faster.
  return doneOrExists(insert())
}
