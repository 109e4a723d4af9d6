export { storeSuite } from './store-suite.ts'
export type { StoresUnderTest, StoreSuiteOptions } from './store-suite.ts'
