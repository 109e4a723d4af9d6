// Packages without types of their own, as far as the tests use them.
declare module 'connect-pg-simple'
declare module 'session-file-store'
declare module 'memorystore'
