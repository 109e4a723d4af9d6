import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from './ports.ts'
import { findProgram, installDebianPackages } from './programs.ts'
import { ServerFolder } from './server-process.ts'

/** A shared cache of this test run's own, before an app. */
export interface CacheServer {
  /** Where it answers, without a slash at the end. */
  readonly url: string
  stop(): Promise<void>
}

/**
 * Whether it keeps more than it would of its own accord: responses with a `Set-Cookie`, answers to requests with a
 * `Cookie`, and what a header for CDNs allows it to keep. Sites set their caches so to have fewer requests to the app.
 */
export interface CacheSettings {
  readonly isGreedy: boolean
}

/** Starts a private Varnish before the app on that port: the program of this machine, or what apt-get brings. */
export async function startVarnish(appPort: number, { isGreedy }: CacheSettings): Promise<CacheServer> {
  const program = await programOf('varnishd', 'varnish')
  const folder = await ServerFolder.make('varnish')
  try {
    const port = await freePort()
    const file = join(folder.path, 'cache.vcl')
    const backend = `vcl 4.0;\nimport std;\nbackend app { .host = "127.0.0.1"; .port = "${appPort}"; }\n`
    await writeFile(file, backend + (isGreedy ? greedyRules : 'sub vcl_init { return (ok); }'))
    const place = [
      '-F',
      '-n',
      join(folder.path, 'work'),
      '-a',
      `127.0.0.1:${port}`,
      '-T',
      'none',
      '-j',
      'none',
    ]
    const size = ['-s', 'malloc,16m', '-p', 'thread_pools=1', '-p', 'thread_pool_min=5']
    return await startCache(folder, program, [...place, '-f', file, ...size], port)
  } catch (error) {
    await folder.remove()
    throw error
  }
}

// In place of those rules of builtin.vcl that are careful with cookies. What says `no-store` or `private` stays out, as there.
const greedyRules = `
sub vcl_recv {
  if (req.method != "GET" && req.method != "HEAD") { return (pass); }
  return (hash);
}

sub vcl_backend_response {
  if (beresp.http.Surrogate-Control ~ "max-age=[0-9]+") {
    set beresp.ttl = std.duration(regsub(beresp.http.Surrogate-Control, ".*max-age=([0-9]+).*", "\\1s"), 0s);
    return (deliver);
  }
  if (beresp.ttl <= 0s || beresp.http.Cache-Control ~ "(?i:no-cache|no-store|private)" || beresp.http.Vary == "*") {
    set beresp.ttl = 120s;
    set beresp.uncacheable = true;
  }
  return (deliver);
}
`

/** Starts a private nginx with `proxy_cache` before the app on that port. */
export async function startNginx(appPort: number, { isGreedy }: CacheSettings): Promise<CacheServer> {
  const program = await programOf('nginx', 'nginx')
  const folder = await ServerFolder.make('nginx')
  try {
    const port = await freePort()
    const file = join(folder.path, 'nginx.conf')
    const inFolder = (name: string) => join(folder.path, name)
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${inFolder(name)};`)
      .join('\n')
    // One process, so that none outlives it.
    await writeFile(
      file,
      `daemon off;
master_process off;
pid ${inFolder('pid')};
error_log stderr warn;
events {}
http {
  access_log off;
  ${temporary}
  proxy_cache_path ${inFolder('kept')} keys_zone=kept:1m;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${appPort};
      proxy_set_header Host $http_host;
      proxy_cache kept;
      ${isGreedy ? 'proxy_ignore_headers Set-Cookie;' : ''}
    }
  }
}
`,
    )
    const options = ['-e', 'stderr', '-p', folder.path, '-c', file]
    return await startCache(folder, program, options, port)
  } catch (error) {
    await folder.remove()
    throw error
  }
}

async function startCache(
  folder: ServerFolder,
  program: string,
  options: readonly string[],
  port: number,
): Promise<CacheServer> {
  const url = `http://127.0.0.1:${port}`
  await folder.start(program, options, async () => {
    const response = await fetch(`${url}/ready`)
    await response.text()
    if (!response.ok) throw new Error(`The cache answers ${response.status}.`)
  })
  return { url, stop: () => folder.remove() }
}

async function programOf(name: string, debianPackage: string): Promise<string> {
  const found =
    (await findProgram(name)) ??
    ((await installDebianPackages(debianPackage)) ? await findProgram(name) : undefined)
  if (found !== undefined) return found
  throw new Error(
    `These tests need ${name}: install it (Debian: apt-get install ${debianPackage}), and run them again.`,
  )
}
