import type { SessionKind, SessionRequest } from './session-kinds.ts'
import { type ShapeName, shapes, type Shape } from './shapes.ts'

/** What the bench asks of an app, whatever its framework. */
export interface Routes {
  /** `GET /read`: what most requests do. */
  readonly read: (request: SessionRequest) => object
  /** `POST /change` */
  readonly change: (request: SessionRequest) => Promise<object>
  /** `POST /login`: begins a session. */
  readonly logIn: (request: SessionRequest) => Promise<object>
  /** `POST /logout` */
  readonly logOut: (request: SessionRequest) => Promise<object>
}

/** The routes of an app with one kind of session, all of one shape. */
export function routesOf(kind: SessionKind, shapeName: ShapeName): Routes {
  const shape: Shape = shapes[shapeName]
  return {
    read: ({ session }) => shape.read(session),
    async change(request) {
      shape.change(request.session)
      await kind.save?.(request)
      return shape.read(request.session)
    },
    async logIn(request) {
      await kind.signIn(request)
      Object.assign(request.session, shape.begin())
      await kind.save?.(request)
      return shape.read(request.session)
    },
    async logOut(request) {
      await kind.signOut?.(request)
      return {}
    },
  }
}
