import { headerOf, type Exchange } from './exchange.ts'
import { say, type Sentence } from './sentence.ts'

/** Which step of the hand-off a request was, if it was one. */
export function ofHandoff({ asked, answered }: Exchange): Sentence[] {
  const { method, path, host, headers } = asked
  const location = headerOf(answered, 'Location')
  if (location.includes('/authorize?')) return [method === 'POST' ? signsIn : begins(host, location)]
  if (path.startsWith('/authorize?')) return [answers(location)]
  if (path.startsWith('/handoff/callback?')) return [ends(answered)]
  const mark = headers.map(([, value]) => /\bhandoff-mark=(asked|out)/.exec(value)?.[1]).find(Boolean)
  if (mark === undefined || answered.status >= 300) return []
  return [mark === 'out' ? signedOutHere : askedBefore]
}

const askedBefore = say(
  'This site has asked accounts already, and nobody was signed in there. So it asks again only after ten minutes, or if you press a button.',
  'handoff.md#silent-check',
  'Silent check',
)

const signedOutHere = say(
  'You have signed out here. So this site asks accounts only if you press a button.',
  'handoff.md#sign-out',
  'Sign out',
)

const signsIn = say(
  'You signed in at accounts. That session is the root of those at other sites.',
  'handoff.md#how-it-works',
  'The hand-off',
)

function begins(host: string, location: string): Sentence {
  const name = host.replace(/:\d+$/, '')
  const how = location.includes('prompt=none') ? 'to ask silently who you are' : 'so that you sign in there'
  return say(
    `${name} has no user for your browser. It sent the browser to accounts, ${how}. A cookie keeps state, nonce and PKCE verifier for five minutes.`,
    'handoff.md#how-it-works',
    'The hand-off',
  )
}

function answers(location: string): Sentence {
  if (location.includes('?code=')) {
    return say(
      'Accounts knows you. It stored the hash of a new code, for 60 seconds, and sent your browser back with the code.',
      'handoff.md#how-it-works',
      'The code',
    )
  }
  if (location.startsWith('/')) {
    return say(
      'Accounts knows the site, but nobody is signed in there yet. So it shows its form.',
      'handoff.md#how-it-works',
      'The hand-off',
    )
  }
  const error = /[?&]error=(\w+)/.exec(location)?.[1]
  return say(
    `Accounts sent your browser back without a code: ${error}.`,
    'handoff.md#parameters-and-errors',
    'Parameters and errors',
  )
}

function ends(answered: Exchange['answered']): Sentence {
  if (answered.headers.some(([name, value]) => name === 'Set-Cookie' && value.startsWith('sid=s'))) {
    return say(
      'The site redeemed the code, in one write that only one request can win. It set its own cookie.',
      'handoff.md#threat-model',
      'Threat model',
    )
  }
  if (answered.status < 400)
    return say(
      'Nobody is signed in, so the site shows its page without a user.',
      'handoff.md#silent-check',
      'Silent check',
    )
  return say('The site rejected the answer, and signed nobody in.', 'handoff.md#threat-model', 'Threat model')
}
