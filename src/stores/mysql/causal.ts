/*
 * 1 is for SELECT, 2 for UPDATE and DELETE: a removal, too, must meet what was stored on another node a moment ago. An INSERT
 * need not wait (4): an id that was taken on another node is refused when the nodes agree on the order.
 */
const waiting = 'SET STATEMENT wsrep_sync_wait = 3 FOR '

type Statement<Arguments extends never[]> = string | ((...arguments_: Arguments) => string)

/**
 * The same statements for a node of a Galera cluster: before one that reads or changes rows, the node applies all that
 * was stored on any node until then.
 *
 * The statement says so itself, and not the connection once. So it holds for every connection of a pool, and it does
 * not change what else the app does on a pool of its own.
 */
export function causal<Statements extends Record<keyof Statements, Statement<never[]>>>(
  statements: Statements,
): Statements {
  const made = new Map<string, string>()
  // Once a text: the driver looks prepared statements up by it, and would hash a new one each time.
  const waitingFor = (text: string): string => {
    if (!/^(SELECT|UPDATE|DELETE) /.test(text)) return text
    let whole = made.get(text)
    if (whole === undefined) made.set(text, (whole = waiting + text))
    return whole
  }
  const entries = Object.entries<Statement<never[]>>(statements).map(([name, statement]) => [
    name,
    typeof statement === 'string'
      ? waitingFor(statement)
      : (...values: never[]) => waitingFor(statement(...values)),
  ])
  return Object.fromEntries(entries) as Statements
}
