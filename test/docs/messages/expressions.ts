import type { Expression, Node } from 'typescript/unstable/ast'
import {
  isAsExpression,
  isBlock,
  isNonNullExpression,
  isParenthesizedExpression,
  isReturnStatement,
  isSatisfiesExpression,
} from 'typescript/unstable/ast/is'
import { type Callable, isCallable } from './program.ts'

/** What a function returns, without the functions in it. */
export function returnsOf(called: Callable): Expression[] {
  const { body } = called
  if (body === undefined) return []
  if (!isBlock(body)) return [body]
  const found: Expression[] = []
  const visit = (node: Node): void => {
    if (isCallable(node)) return
    if (isReturnStatement(node) && node.expression) found.push(node.expression)
    node.forEachChild(visit)
  }
  visit(body)
  return found
}

/** What stands within brackets, or before a type or a `!`. */
export function unwrapped(node: Expression): Expression | undefined {
  const isWrapper =
    isParenthesizedExpression(node) ||
    isAsExpression(node) ||
    isSatisfiesExpression(node) ||
    isNonNullExpression(node)
  return isWrapper ? node.expression : undefined
}
