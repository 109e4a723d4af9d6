import { assertOneInstance } from './assert-one-instance.cjs'
import imported from './imported.mjs'
import required from './required.cjs'

void assertOneInstance(required, imported).then(() => console.log('one instance'))
