import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { SslOptions } from 'mysql2'
import { isError, optionError, refuseUnknownOptions } from '../../core/errors.js'
import { codeShown } from '../../core/store/store-failure.js'
import { driver } from './driver.js'

/** What mysql2 reads in `ssl`. Its types have two more, `pfx` and `crl`, without effect. */
const sslOptions = [
  'ca', 'cert', 'ciphers', 'key', 'passphrase', 'minVersion', 'maxVersion', 'rejectUnauthorized', 'verifyIdentity',
] as const satisfies readonly (keyof SslOptions)[] // prettier-ignore

/** How to ask for TLS. */
export const askForTLS = 'Ask for TLS by ?ssl=true in DATABASE_URL, or by ssl: true in pool options'

const onlyTheAuthority =
  'To verify only who signed the certificate, say so: ?ssl={"verifyIdentity":false} in DATABASE_URL, ssl: { verifyIdentity: false } in pool options'

/**
 * The driver's `ssl` for what the app gave. It verifies who signed the server's certificate, and that the certificate
 * is for this host, unless the app says otherwise aloud. The driver alone leaves out the host.
 *
 * @returns `undefined` if the app asks for no TLS.
 * @throws ERR_SESSION_OPTION for what is no such option, and where the driver could not verify the host.
 */
export function verifiedTLS(ssl: unknown, host: string | undefined): SslOptions | undefined {
  if (ssl === undefined || ssl === null || ssl === false) return undefined
  const given = tlsOptions(ssl)
  const rejectUnauthorized = given.rejectUnauthorized !== false
  const verifyIdentity = given.verifyIdentity !== false
  // The driver hands no IP address to Node's check, which then looks for "localhost" in the certificate.
  if (rejectUnauthorized && verifyIdentity && isIP(host?.replace(/^\[|\]$/g, '') ?? '') !== 0) {
    throw optionError(
      `DATABASE_URL or the pool options name the database's host by an IP address, for which the mysql2 driver cannot verify a certificate. Give the host name that is in the certificate. ${onlyTheAuthority}.`,
    )
  }
  assertUsable(given)
  return { ...given, rejectUnauthorized, verifyIdentity }
}

/** Else each connection would fail, as if the database were away. */
function assertUsable(options: SslOptions): void {
  try {
    createSecureContext(options as SecureContextOptions)
    // Node takes an authority that is none without a word, and then trusts nobody.
    for (const authority of [options.ca ?? []].flat()) new X509Certificate(authority)
  } catch (error) {
    throw optionError(
      `Node cannot use these ssl options${codeShown(error)}. Check the certificates and keys, which are texts in PEM, and the versions and ciphers.`,
    )
  }
}

/**
 * What stands for `true`, for an object, or for a profile of the driver such as 'Amazon RDS'.
 * @throws ERR_SESSION_OPTION.
 */
export function tlsOptions(ssl: unknown): SslOptions {
  const options = ssl === true ? {} : typeof ssl === 'string' ? profile(ssl) : ssl
  if (typeof options !== 'object' || options === null) {
    throw optionError(
      `ssl is neither true, false, an object, nor a TLS profile that the mysql2 driver has. ${askForTLS}.`,
    )
  }
  refuseUnknownOptions('ssl', options, sslOptions)
  // With what it inherits: a copy would lose that.
  return Object.fromEntries(
    sslOptions.filter((name) => name in options).map((name) => [name, Reflect.get(options, name)]),
  )
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

/** Why a handshake was refused, and what to do; `undefined` for any other error. The driver puts a code of its own over that of Node. */
export function refusedTLS(error: unknown): { readonly what: string; readonly cure: string } | undefined {
  if (!(isError(error) && 'code' in error) || error.code !== 'HANDSHAKE_SSL_ERROR') return undefined
  // A connection that was merely lost has a port or a system call.
  if ('port' in error || 'syscall' in error) return undefined
  if ('cert' in error) {
    return {
      what: "the database's certificate is for another host",
      cure: `Connect to the host name that is in the certificate, or give the database a certificate for the name that you use. ${onlyTheAuthority}`,
    }
  }
  if ('library' in error) {
    return {
      what: 'the app and the database have no TLS version or cipher in common',
      cure: 'Check minVersion, maxVersion and ciphers of ssl, and which versions the database takes. The cause of this error says more',
    }
  }
  return {
    what: "the database's certificate is not trusted. The cause of this error says why",
    cure: 'If an authority of your own signed it, give that one\'s certificate: ?ssl-ca=/path/to/ca.pem in DATABASE_URL, ssl: { ca } in pool options. Whoever is between app and database can read and change sessions if you do not verify it. To do so all the same, say so: ?ssl={"rejectUnauthorized":false} in DATABASE_URL, ssl: { rejectUnauthorized: false } in pool options',
  }
}
