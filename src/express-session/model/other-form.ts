import { encryptionUnavailable } from '../../core/data/encryption.js'
import { SessionEngine } from '../../core/engine.js'
import { optionError } from '../../core/errors.js'
import { isStore } from '../../core/argument.js'
import type { TokenKeyedStore } from '../../core/store/session-store.js'
import type { Given, Meant, OptionFault } from './option-names.js'

// session(options) is the form of express-session. Whoever follows the docs of createSessions may write it by mistake.

/** Options that only `createSessions` has. They are refused here: to ignore them would mislead the app. */
const optionsOfCreateSessions = [
  'sites', 'csrf', 'sessionsPerUser', 'rotationGrace', 'merge', 'codec', 'sweep', 'storeLimits',
] as const // prettier-ignore

/** Options that only express-session's form has. An app that gives one of them has meant this form. */
const optionsOfExpressSession = [
  'cookie', 'genid', 'name', 'key', 'proxy', 'resave', 'rolling', 'saveUninitialized', 'unset',
] as const // prettier-ignore

/** @throws ERR_SESSION_OPTION if the options can only have been meant for the other form, `session(sessions)`. */
export function refuseOtherForm(options: object): void {
  if ('encryption' in options) throw encryptionUnavailable()
  const given = options as Given
  const holder = Object.keys(given).find((name) => name !== 'store' && given[name] instanceof SessionEngine)
  if (holder !== undefined) {
    throw optionError(
      `session() was given an object with sessions in it, as its "${holder}". Write session(sessions), or session(sessions, options).`,
    )
  }
  const others = optionsOfCreateSessions.filter((name) => given[name] !== undefined)
  if (others.length > 0) {
    const names = others.join(', ')
    throw optionError(
      `session(options) has no option ${names}; createSessions has. Write session(createSessions({ store, secret, ${names} })), or leave ${others.length > 1 ? 'them' : 'it'} out.`,
    )
  }
}

/**
 * The fault of options that may have been meant for `createSessions`: a store of coatcheck's own layout, and nothing
 * that express-session has beside it. They work as given, so it is a warning.
 */
export function otherFormFaults({ options, cookie }: Pick<Meant, 'options' | 'cookie'>): OptionFault[] {
  const { store } = options
  if (typeof store !== 'object' || store === null || !isStore(store)) return []
  if ((store as Partial<TokenKeyedStore>).keyedBy === 'token') return []
  if (Object.keys(cookie).length > 0 || optionsOfExpressSession.some((name) => name in options)) return []
  return [
    {
      code: 'COATCHECK_OPTION',
      message:
        "session(options) is the form of express-session, and was given a store of coatcheck's and no option that express-session has. Write session(createSessions({ store, secret })), which also refuses forged requests; or write resave: false too, if you want this form.",
    },
  ]
}
