// Its types are for another version of express-session.
declare module 'express-mysql-session' {
  import type session from 'express-session'
  const make: (given: typeof session) => new (options: object) => session.Store
  export default make
}
