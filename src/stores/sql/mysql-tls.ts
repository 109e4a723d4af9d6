import { isIP } from 'node:net'
import type { SslOptions } from 'mysql2'
import { optionError, refuseUnknownOptions, SessionError } from '../../core/errors.ts'
import { driver } from './mysql-driver.ts'

/** What mysql2 reads in `ssl`. Its types have two more, `pfx` and `crl`, without effect. */
const sslOptions = [
  'ca', 'cert', 'ciphers', 'key', 'passphrase', 'minVersion', 'maxVersion', 'rejectUnauthorized', 'verifyIdentity',
] as const satisfies readonly (keyof SslOptions)[] // prettier-ignore

/** How to ask for TLS. */
export const askForTLS = 'Ask for TLS by ?ssl=true in DATABASE_URL, or by ssl: true in pool options'

const onlyTheAuthority =
  'To verify only who signed the certificate, say so: ?ssl={"verifyIdentity":false} in DATABASE_URL, ssl: { verifyIdentity: false } in pool options.'

/**
 * The driver's `ssl` for what the app gave. It verifies who signed the server's certificate, and that the certificate
 * is for this host, unless the app says otherwise aloud. The driver alone leaves out the host.
 *
 * @returns `undefined` if the app asks for no TLS
 * @throws ERR_SESSION_OPTION for what is no such option, and where the driver could not verify the host
 */
export function verifiedTLS(ssl: unknown, host: string | undefined): SslOptions | undefined {
  if (ssl === undefined || ssl === null || ssl === false) return undefined
  const given = tlsOptions(ssl)
  const rejectUnauthorized = given.rejectUnauthorized !== false
  const verifyIdentity = given.verifyIdentity !== false
  // The driver hands no IP address to Node's check, which then looks for "localhost" in the certificate.
  if (rejectUnauthorized && verifyIdentity && isIP(host?.replace(/^\[|\]$/g, '') ?? '') !== 0) {
    throw optionError(
      `DATABASE_URL or the pool options name the database's host by an IP address, for which the mysql2 driver cannot verify a certificate. Give the host name that is in the certificate. ${onlyTheAuthority}`,
    )
  }
  return { ...given, rejectUnauthorized, verifyIdentity }
}

/**
 * What stands for `true`, for an object, or for a profile of the driver such as 'Amazon RDS'.
 * @throws ERR_SESSION_OPTION
 */
export function tlsOptions(ssl: unknown): SslOptions {
  const options = ssl === true ? {} : typeof ssl === 'string' ? profile(ssl) : ssl
  if (typeof options !== 'object' || options === null) {
    throw optionError(
      `ssl is neither true, false, an object, nor a TLS profile that the mysql2 driver has. ${askForTLS}.`,
    )
  }
  refuseUnknownOptions('ssl', options, sslOptions)
  return options
}

function profile(name: string): unknown {
  const { ConnectionConfig } = driver() as unknown as {
    readonly ConnectionConfig: { getSSLProfile(name: string): object }
  }
  try {
    return ConnectionConfig.getSSLProfile(name)
  } catch {
    return undefined
  }
}

/** What is wrong between this app and its server's TLS; `undefined` for any other error. Status 500: waiting does not help. */
export function untrustedServer(error: unknown): SessionError | undefined {
  const message = messageFor(error)
  return message === undefined ? undefined : new SessionError('ERR_SESSION_OPTION', message, { cause: error })
}

function messageFor(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  if (error.code === 'HANDSHAKE_NO_SSL_SUPPORT') {
    return 'The database offers no TLS, and ssl asks for it. Turn TLS on in the database; leave ssl out only where the network between is trusted.'
  }
  // The driver's code for all that ends a handshake. A connection that was merely lost has a port or a system call.
  if (error.code !== 'HANDSHAKE_SSL_ERROR' || 'port' in error || 'syscall' in error) return undefined
  if ('cert' in error) {
    return `The database's certificate is for another host. Connect to the host name that is in the certificate, or give the database a certificate for the name that you use. ${onlyTheAuthority}`
  }
  return `The database's certificate is not trusted (${error.message}). If an authority of your own signed it, give that one's certificate: ?ssl-ca=/path/to/ca.pem in DATABASE_URL, ssl: { ca } in pool options. Whoever is between app and database can read and change sessions if you do not verify it. To do so all the same, say so: ?ssl={"rejectUnauthorized":false} in DATABASE_URL, ssl: { rejectUnauthorized: false } in pool options.`
}
