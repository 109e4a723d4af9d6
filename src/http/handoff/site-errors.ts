import { SessionError } from '../../core/errors.js'
import type { RefusalReason } from '../../core/handoff/redeem.js'

const messages: Readonly<Record<RefusalReason, string>> = {
  'unknown or expired': 'The code is unknown, or older than a minute.',
  'of another site': 'The code is for another site.',
  'of another return address': 'The code is for another return address.',
  'wrong verifier': 'The code belongs to the flow of another browser.',
  leaked: 'The code came to another browser too, so it gives nothing any more.',
  'root has ended': 'The user has signed out at the hub since it began.',
  revoked: "All of the user's sessions were ended since it began.",
}

export function failed(why: string): Error {
  return new SessionError(
    'ERR_SESSION_HANDOFF_FAILED',
    `The sign-in was not completed, and nobody was signed in. ${why} Begin again.`,
    { status: 400 },
  )
}

export function refusedCode(why: RefusalReason): Error {
  return failed(messages[why])
}

export function notEverywhere(): Error {
  return new SessionError(
    'ERR_SESSION_HANDOFF_FAILED',
    'The session of this site had ended already, or did not come from the hub. So it is unknown whether the user is signed in at the hub. Sign out there.',
    { status: 400 },
  )
}

export function notProved(): Error {
  return failed('The user has not proved again who they are.')
}

export function keepsNoCookies(): Error {
  return new SessionError(
    'ERR_SESSION_HANDOFF_FAILED',
    'The browser has just been signed in twice, and has not sent the cookie of the session. Check that it accepts cookies, and that the site is opened at the origin of redirectUri.',
    { status: 400 },
  )
}
