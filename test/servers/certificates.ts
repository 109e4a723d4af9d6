import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'

/** An authority of a test's own, and the certificates that it signed. Files, because servers and URLs name files. */
export interface Authority {
  /** The path of its own certificate. */
  readonly ca: string
  /** Signs a certificate for a server of this name. */
  certify(host: string): Promise<{ readonly certificate: string; readonly key: string }>
  remove(): Promise<void>
}

export async function newAuthority(): Promise<Authority> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-certificates-'))
  await chmod(folder, 0o755) // a server may run as another user
  const authority = await generate([{ name: 'commonName', value: 'Test authority' }], {
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  })
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name)
    await writeFile(path, text)
    return path
  }
  return {
    ca: await write('ca.pem', authority.cert),
    async certify(host) {
      const signed = await generate([{ name: 'commonName', value: host }], {
        algorithm: 'sha256',
        ca: { key: authority.private, cert: authority.cert },
        extensions: [
          { name: 'basicConstraints', cA: false },
          { name: 'subjectAltName', altNames: [{ type: 2, value: host }] },
        ],
      })
      return {
        certificate: await write(`${host}.pem`, signed.cert),
        key: await write(`${host}-key.pem`, signed.private),
      }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
