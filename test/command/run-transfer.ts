import { type CommandRun, startCommand } from './run-command.ts'

/** Two stores by their URLs, and the folder that the copy runs in: its ledger lies there. */
export interface Move {
  readonly from: string
  readonly to: string
  readonly folder: string
}

/** `coatcheck copy` between two stores, with its URLs in the environment. */
export function startTransfer({ from, to, folder }: Move, ...parameters: string[]): CommandRun {
  return startCommand(['copy', ...parameters], { FROM_DATABASE_URL: from, TO_DATABASE_URL: to }, folder)
}
