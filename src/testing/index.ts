export { storeSuite } from './store-suite.js'
export type { StoresUnderTest, StoreSuiteOptions } from './store-suite.js'
