import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { freePorts } from './ports.ts'
import { findProgram, installDebianPackages } from './programs.ts'
import { ServerFolder } from './server-process.ts'

export interface NginxPorts {
  readonly httpPort: number
  readonly httpsPort: number
}

/** A proxy in front of an app, for HTTP and for HTTPS. */
export interface Nginx extends NginxPorts {
  stop(): Promise<void>
}

export interface NginxOptions {
  /** Where it listens. */
  readonly ports: NginxPorts
  /** Where the app listens. */
  readonly appPort: number
  readonly certificate: string
  readonly key: string
  /** What is in its `location /` besides `proxy_pass`. */
  readonly directives?: string
}

/** Starts a private nginx on loopback: the program of this machine, or what apt-get brings. */
export async function startNginx(options: NginxOptions): Promise<Nginx> {
  const program =
    (await findProgram('nginx')) ??
    ((await installDebianPackages('nginx')) ? await findProgram('nginx') : undefined)
  if (program === undefined) {
    throw new Error('These tests need nginx: install it (Debian: apt-get install nginx), and run them again.')
  }
  const folder = await ServerFolder.make('nginx')
  try {
    const path = join(folder.path, 'nginx.conf')
    await writeFile(path, configurationOf(folder.path, options))
    const args = ['-p', folder.path, '-c', path, '-e', 'stderr']
    await folder.start(program, args, () => answers(options.ports.httpsPort))
    return { ...options.ports, stop: () => folder.remove() }
  } catch (error) {
    await folder.remove()
    throw error
  }
}

export async function freeNginxPorts(): Promise<NginxPorts> {
  const [httpPort, httpsPort] = (await freePorts(2)) as [number, number]
  return { httpPort, httpsPort }
}

// One process, so that nothing is left if it is killed.
function configurationOf(folder: string, options: NginxOptions): string {
  const { httpPort, httpsPort } = options.ports
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ')
  return `
daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr;
events {}
http {
  access_log off; ${temporary}
  server {
    listen 127.0.0.1:${httpPort};
    listen 127.0.0.1:${httpsPort} ssl http2;
    ssl_certificate ${options.certificate}; ssl_certificate_key ${options.key};
    location / { proxy_pass http://127.0.0.1:${options.appPort}; ${options.directives ?? ''} }
  }
}`
}

async function answers(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
  } finally {
    socket.destroy()
  }
}
