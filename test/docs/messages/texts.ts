import type {
  ArrayLiteralExpression,
  ConditionalExpression,
  Expression,
  Node,
  ObjectLiteralExpression,
  ParameterDeclaration,
} from 'typescript/unstable/ast'
import { SyntaxKind } from 'typescript/unstable/ast'
import {
  isArrayBindingPattern,
  isArrayLiteralExpression,
  isBinaryExpression,
  isBindingElement,
  isCallExpression,
  isConditionalExpression,
  isElementAccessExpression,
  isIdentifier,
  isNewExpression,
  isNoSubstitutionTemplateLiteral,
  isObjectBindingPattern,
  isObjectLiteralExpression,
  isParameterDeclaration,
  isPropertyAccessExpression,
  isPropertyAssignment,
  isSpreadAssignment,
  isSpreadElement,
  isStringLiteral,
  isTemplateExpression,
  isVariableDeclaration,
} from 'typescript/unstable/ast/is'
import { returnsOf, unwrapped } from './expressions.ts'
import { type Callable, isCallable, type Program, valueOf, walk } from './program.ts'

/** Stands in a text for a part that is known only when the program runs. */
export const gap = '…'
/** Stands for the value `undefined` among texts. */
export const absent = '\0'

/** An expression, and what the parameters in it stand for. */
interface Bound<Value extends Node = Expression> {
  readonly value: Value
  readonly scope: Scope
}
/** What parameters stand for in one call. A text is one of several that an expression may be. */
export type Scope = ReadonlyMap<ParameterDeclaration, Bound | string>

export const nothing: Scope = new Map()
/** The deepest chain of calls that is followed. */
const deepest = 12

/** The texts that expressions of a program may be. It follows constants, and functions that return texts. */
export class Texts {
  readonly #program: Program
  readonly #prose = new Map<Node, Bound[]>()

  constructor(program: Program) {
    this.#program = program
  }

  /** What the parameters in some expressions stand for: one scope for each way to get there. */
  scopes(expressions: readonly Expression[], above: readonly Callable[] = []): Scope[] {
    const owners = new Set<Callable>()
    for (const parameter of expressions.flatMap((each) => this.#parametersIn(each))) {
      const owner = parameter.parent
      if (isCallable(owner) && this.#program.callsOf(owner) && !above.includes(owner)) owners.add(owner)
    }
    let scopes: Scope[] = [nothing]
    if (above.length > deepest) return scopes
    for (const owner of owners) {
      const bindings = this.#program
        .callsOf(owner)!
        .flatMap((given) =>
          this.scopes(given, [...above, owner]).flatMap((scope) => this.#split(bind(owner, given, scope))),
        )
      scopes = scopes.flatMap((scope) => bindings.map((each) => new Map([...scope, ...each])))
    }
    return scopes
  }

  /** Makes several scopes of one where a parameter is one of a few words: what depends on it goes together. */
  #split(scope: Scope): Scope[] {
    let scopes = [scope]
    for (const [parameter, bound] of scope) {
      if (typeof bound === 'string') continue
      // Where it may also be what is not known, that is one of the words too.
      const words = this.of(bound.value, bound.scope).filter((word) => word !== gap)
      if (
        words.length < 2 ||
        words.length > 8 ||
        !words.every((word) => word === absent || /^\w+$/.test(word))
      )
        continue
      scopes = scopes.flatMap((each) => words.map((word) => new Map([...each, [parameter, word] as const])))
    }
    return scopes
  }

  /** The parameters that an expression reads, also by way of constants. */
  #parametersIn(expression: Node, seen = new Set<Node>()): ParameterDeclaration[] {
    const found: ParameterDeclaration[] = []
    walk(expression, (node) => {
      const declared = this.#program.declarationOf(node)
      if (declared === undefined || seen.has(declared)) return
      seen.add(declared)
      if (isParameterDeclaration(declared)) found.push(declared)
      else if (isVariableDeclaration(declared) && declared.initializer && !isCallable(declared.initializer)) {
        found.push(...this.#parametersIn(declared.initializer, seen))
      } else if (isBindingElement(declared)) {
        const source = declared.parent.parent
        if (isParameterDeclaration(source)) found.push(source)
        else if (isVariableDeclaration(source) && source.initializer)
          found.push(...this.#parametersIn(source.initializer, seen))
      }
    })
    return found
  }

  /** The texts that an expression may be. */
  of(node: Expression, scope: Scope, depth = 0): string[] {
    if (depth > deepest || !this.#program.isText(node)) return [gap]
    const of = (each: Expression) => this.of(each, scope, depth + 1)
    if (isStringLiteral(node) || isNoSubstitutionTemplateLiteral(node)) return [node.text]
    if (isTemplateExpression(node)) {
      let texts = [node.head.text]
      for (const { expression, literal } of node.templateSpans) {
        const parts = partOfProse(of(expression))
        texts = texts.flatMap((text) => parts.map((part) => text + part + literal.text))
      }
      return unique(texts)
    }
    const inner = unwrapped(node)
    if (inner !== undefined) return of(inner)
    if (isIdentifier(node) && node.text === 'undefined') return [absent]
    if (isConditionalExpression(node)) return unique(this.#branches(node, scope).flatMap(of))
    if (isBinaryExpression(node)) {
      const { kind } = node.operatorToken
      if (kind === SyntaxKind.PlusToken) {
        const right = partOfProse(of(node.right))
        return unique(partOfProse(of(node.left)).flatMap((text) => right.map((part) => text + part)))
      }
      if (kind === SyntaxKind.QuestionQuestionToken || kind === SyntaxKind.BarBarToken) {
        const left = of(node.left)
        const isSure = !left.includes(gap) && !left.includes(absent)
        return isSure
          ? left
          : unique([...left.filter((text) => text !== gap && text !== absent), ...of(node.right)])
      }
    }
    if (isCallExpression(node)) {
      const called = this.#program.called(node.expression)
      if (called !== undefined) {
        const inside = bind(called, [...node.arguments], scope)
        return unique(returnsOf(called).flatMap((each) => this.of(each, inside, depth + 1)))
      }
      const callee = node.expression
      if (!isPropertyAccessExpression(callee) || callee.name.text !== 'join') return [gap]
      const parts = this.#elements(callee.expression, scope, depth + 1).flatMap((each) =>
        this.of(each.value, each.scope, depth + 1),
      )
      return parts.length === 0 ? [gap] : unique(parts)
    }
    const values = this.#values(node, scope, depth)
    if (values.length === 0) return [gap]
    return unique(
      values.flatMap((each) =>
        typeof each === 'string' ? [each] : this.of(each.value, each.scope, depth + 1),
      ),
    )
  }

  /** The branches of `condition ? … : …`: one of them, if a parameter that is compared with `undefined` is known. */
  #branches({ condition, whenTrue, whenFalse }: ConditionalExpression, scope: Scope): Expression[] {
    if (
      isBinaryExpression(condition) &&
      condition.right.getText() === 'undefined' &&
      isIdentifier(condition.left)
    ) {
      const declared = this.#program.declarationOf(condition.left)
      const word = declared && isParameterDeclaration(declared) ? scope.get(declared) : undefined
      const isEqual = condition.operatorToken.kind === SyntaxKind.EqualsEqualsEqualsToken
      if (typeof word === 'string') return [(word === absent) === isEqual ? whenTrue : whenFalse]
    }
    return [whenTrue, whenFalse]
  }

  /** What an array may hold. */
  #elements(node: Expression, scope: Scope, depth: number): Bound[] {
    if (depth > deepest) return []
    const of = (each: Expression) => this.#elements(each, scope, depth + 1)
    if (isArrayLiteralExpression(node)) {
      return node.elements.flatMap((each) =>
        isSpreadElement(each) ? of(each.expression) : [{ value: each, scope }],
      )
    }
    const inner = unwrapped(node)
    if (inner !== undefined) return of(inner)
    if (isConditionalExpression(node)) return this.#branches(node, scope).flatMap(of)
    if (isNewExpression(node) && node.expression.getText() === 'Set')
      return (node.arguments ?? []).flatMap(of)
    if (isCallExpression(node) && isPropertyAccessExpression(node.expression)) {
      const { name, expression } = node.expression
      if (name.text === 'filter') return of(expression)
      const [by] = node.arguments
      if (name.text !== 'map' || by === undefined) return []
      const called = isCallable(by) ? by : this.#program.called(by)
      return called ? returnsOf(called).map((value) => ({ value, scope })) : []
    }
    return this.#values(node, scope, depth + 1).flatMap((each) =>
      typeof each === 'string' ? [] : this.#elements(each.value, each.scope, depth + 1),
    )
  }

  /** What gives a name, a property or an element its value. */
  #values(node: Expression, scope: Scope, depth: number): (Bound | string)[] {
    if (depth > deepest) return []
    if (isElementAccessExpression(node)) {
      const keys = this.of(node.argumentExpression, scope, depth + 1)
      return this.#objects(node.expression, scope, depth + 1).flatMap((object) =>
        keys.includes(gap) ? this.#valuesIn(object, depth) : keys.flatMap((key) => valueBound(object, key)),
      )
    }
    if (isPropertyAccessExpression(node))
      return this.#property(node.expression, node.name.text, scope, depth + 1)
    const declared = this.#program.declarationOf(node)
    if (declared === undefined) return []
    const own = this.#declared(declared, scope)
    if (!isBindingElement(declared)) return own
    const pattern: Node = declared.parent
    const sources = this.#declared(pattern.parent, scope).filter((each) => typeof each !== 'string')
    const values = sources.flatMap((source) => {
      if (isObjectBindingPattern(pattern)) {
        const name = (declared.propertyName ?? declared.name)!.getText()
        const found = this.#property(source.value, name, source.scope, depth + 1)
        // Of several objects, it would not be known which of them gives the other names of the pattern.
        const isOfType = this.#objects(source.value, source.scope, depth + 1).length === 0
        return found.length === 1 || isOfType ? found : []
      }
      if (!isArrayBindingPattern(pattern)) return []
      const index = pattern.elements.indexOf(declared)
      return this.#arrays(source.value, source.scope, depth + 1).flatMap(({ value, scope: inside }) => {
        const element = value.elements[index]
        return element ? [{ value: element, scope: inside }] : []
      })
    })
    return [...values, ...own]
  }

  /** What a declaration gives its name. */
  #declared(declared: Node, scope: Scope): (Bound | string)[] {
    if (isParameterDeclaration(declared) && scope.has(declared)) return [scope.get(declared)!]
    const isVariable = isVariableDeclaration(declared) || isBindingElement(declared)
    return isVariable && declared.initializer ? [{ value: declared.initializer, scope }] : []
  }

  /** What a property of an object may be. Where the object is not known: the prose that others of its type have there. */
  #property(object: Expression, name: string, scope: Scope, depth: number): Bound[] {
    const known = this.#objects(object, scope, depth).flatMap((each) => valueBound(each, name))
    const declared = known.length === 0 ? this.#program.propertyOf(object, name) : undefined
    return declared ? this.#proseOf(declared, name) : known
  }

  #proseOf(declared: Node, name: string): Bound[] {
    const before = this.#prose.get(declared)
    if (before) return before
    this.#prose.set(declared, [])
    const prose = this.#program
      .valuesOf(declared, name)
      .filter((value) => this.of(value, nothing).every(isProse))
      .map((value) => ({ value, scope: nothing }))
    this.#prose.set(declared, prose)
    return prose
  }

  #objects(node: Expression, scope: Scope, depth: number): Bound<ObjectLiteralExpression>[] {
    return this.#literals(node, scope, depth, isObjectLiteralExpression)
  }

  /** All values of an object literal, with those of the objects that are spread in it. */
  #valuesIn({ value, scope }: Bound<ObjectLiteralExpression>, depth: number): Bound[] {
    return value.properties.flatMap((each) => {
      if (isPropertyAssignment(each)) return [{ value: each.initializer, scope }]
      if (!isSpreadAssignment(each)) return []
      const spread = this.#objects(each.expression, scope, depth + 1)
      return spread.flatMap((object) => this.#valuesIn(object, depth + 1))
    })
  }

  #arrays(node: Expression, scope: Scope, depth: number): Bound<ArrayLiteralExpression>[] {
    return this.#literals(node, scope, depth, isArrayLiteralExpression)
  }

  /** The literals of a kind that an expression may be. */
  #literals<Literal extends Expression>(
    node: Expression,
    scope: Scope,
    depth: number,
    isKind: (node: Node) => node is Literal,
  ): Bound<Literal>[] {
    if (depth > deepest) return []
    const of = (each: Expression) => this.#literals(each, scope, depth + 1, isKind)
    if (isKind(node)) return [{ value: node, scope }]
    const inner = unwrapped(node)
    if (inner !== undefined) return of(inner)
    if (isConditionalExpression(node)) return this.#branches(node, scope).flatMap(of)
    return this.#values(node, scope, depth + 1).flatMap((each) =>
      typeof each === 'string' ? [] : this.#literals(each.value, each.scope, depth + 1, isKind),
    )
  }
}

function valueBound({ value, scope }: Bound<ObjectLiteralExpression>, name: string): Bound[] {
  const found = valueOf(value, name)
  return found ? [{ value: found, scope }] : []
}

function bind(called: Callable, given: readonly Expression[], scope: Scope): Scope {
  const bound = new Map(scope)
  for (const [index, parameter] of called.parameters.entries()) {
    const value = given[index]
    if (value) bound.set(parameter, { value, scope })
    else if (parameter.initializer) bound.set(parameter, { value: parameter.initializer, scope: bound })
  }
  return bound
}

/** Whether a text says something. */
export function isProse(text: string): boolean {
  return /[a-z]+[ :,]/i.test(text) && text !== gap
}

/** What takes the place of `${…}`: sentences and their parts in full, and a gap for names, numbers and the like. */
function partOfProse(given: readonly string[]): readonly string[] {
  const texts = given.filter((text) => text !== absent)
  const isPart = (text: string) => /[a-z]+ [a-z]+/i.test(text) || /^[^…]*[.:,;] *$/.test(text) || text === gap
  const isReadable =
    texts.length <= 60 && texts.some((text) => text !== '' && text !== gap) && texts.every(isPart)
  return isReadable ? texts : [gap]
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)]
}
