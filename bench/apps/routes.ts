import type { SessionKind, SessionRequest } from './session-kinds.ts'

/** `GET /read`: what most requests do. */
export function read({ session }: SessionRequest): object {
  return { hello: session.name ?? 'nobody' }
}

/** `POST /change` */
export async function change(kind: SessionKind, request: SessionRequest): Promise<object> {
  request.session.visits = (request.session.visits ?? 0) + 1
  await kind.save?.(request)
  return { hello: request.session.name ?? 'nobody' }
}

/** `POST /login?bytes=300`: begins a session of about that size. */
export async function logIn(kind: SessionKind, request: SessionRequest): Promise<object> {
  const bytes = Number(/bytes=(\d+)/.exec(request.url ?? '')?.[1] ?? 300)
  await kind.signIn(request)
  request.session.name = 'Ada'
  request.session.cart = 'x'.repeat(Math.max(0, bytes - 60))
  await kind.save?.(request)
  return { hello: 'Ada' }
}
