import type { SerializedError } from 'vitest'
import type { Reporter, TestModule } from 'vitest/node'

/**
 * Closes the run with one plain line for programs to read, `N passed, N failed`, and
 * `, N skipped` after it if any were. What failed outside of a test (a file that does not load, a
 * hook, an unhandled rejection) counts as a failure too: such a run is not to look like a green one.
 */
export default class ClosingLine implements Reporter {
  // What stays if the run is broken off before its end.
  private line = '0 passed, 1 failed'

  onInit(): void {
    // Printed at the very end: the default reporter's summary, and what the servers say as they stop, come before.
    process.once('exit', () => process.stdout.write(`\n${this.line}\n`))
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const count = { passed: 0, failed: unhandled.length, skipped: 0, pending: 0 }
    for (const module of modules) {
      count.failed += module.errors().length
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length
      for (const test of module.children.allTests()) count[test.result().state] += 1
    }
    // Pending is what an interrupted run never came to.
    const skipped = count.skipped + count.pending
    this.line = `${count.passed} passed, ${count.failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
  }
}
