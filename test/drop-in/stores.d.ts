// Packages without types of their own, as far as the tests use them.
declare module 'connect-pg-simple'
declare module 'session-file-store'
declare module 'memorystore'
declare module 'csurf' {
  export default function csurf(): unknown
}
declare module 'lusca' {
  export default function lusca(options: object): unknown
}
declare module 'passport04' {
  const passport: unknown
  export default passport
}
