/** One step of a table's history. Once released it never changes. A change is a further step. */
export interface Migration {
  /** 1, 2, 3, … without gaps. */
  readonly version: number
  /**
   * Run in order. Each must bear being run again: a process may end after any of them, and another node may be at the same. To add a
   * column or a key that is there already is no error.
   */
  readonly statements: readonly string[]
}

/** A database, as far as migrating needs it. */
export interface MigrationTarget {
  /** The version of the last migration that was recorded; 0 if there was none. */
  recordedVersion(): Promise<number>
  run(statement: string): Promise<void>
  record(version: number): Promise<void>
}

/**
 * Runs the migrations that were not recorded yet, in order. The caller holds a lock, so that only one process is at it; on the
 * nodes of a cluster, one each.
 */
export async function migrate(migrations: readonly Migration[], target: MigrationTarget): Promise<void> {
  const recorded = await target.recordedVersion()
  for (const { version, statements } of migrations) {
    if (version <= recorded) continue
    for (const statement of statements) await target.run(statement)
    await target.record(version)
  }
}

/** The version of a table that all `migrations` were run on. */
export function latestVersion(migrations: readonly Migration[]): number {
  return migrations.at(-1)?.version ?? 0
}
