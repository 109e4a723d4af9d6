import type {
  ArrowFunction,
  Expression,
  FunctionDeclaration,
  FunctionExpression,
  Identifier,
  MethodDeclaration,
  Node,
  ObjectLiteralExpression,
  SourceFile,
} from 'typescript/unstable/ast'
import {
  isArrowFunction,
  isBinaryExpression,
  isCallExpression,
  isFunctionDeclaration,
  isFunctionExpression,
  isIdentifier,
  isMethodDeclaration,
  isPropertyAccessExpression,
  isPropertyAssignment,
  isShorthandPropertyAssignment,
  isVariableDeclaration,
} from 'typescript/unstable/ast/is'
import { type Project, type Symbol, SymbolFlags, type Type, TypeFlags } from 'typescript/unstable/sync'

/** A function or a method with parameters that calls give values to. */
export type Callable = FunctionDeclaration | FunctionExpression | ArrowFunction | MethodDeclaration

interface Property {
  readonly value: Expression
  /** `undefined` for `this.name = …`. */
  readonly object: ObjectLiteralExpression | undefined
}

/** The source of a project: what its names stand for, and who calls its functions. */
export class Program {
  readonly files: readonly SourceFile[]
  readonly #project: Project
  readonly #folder: string
  readonly #declarations = new Map<Identifier, Node | undefined>()
  readonly #calls = new Map<Callable, (readonly Expression[])[]>()
  readonly #properties = new Map<string, Property[]>()
  readonly #aliases = new Map<Symbol, Symbol>()
  readonly #textual = new Map<Node, boolean>()

  /** @param folder only the source below it is read */
  constructor(project: Project, folder: string) {
    this.#project = project
    this.#folder = folder
    this.files = project.program
      .getSourceFileNames()
      .filter((name) => name.startsWith(folder + '/'))
      .map((name) => project.program.getSourceFile(name)!)
    const identifiers: Identifier[] = []
    for (const file of this.files) walk(file, (node) => isIdentifier(node) && identifiers.push(node))
    const symbols = project.checker.getSymbolAtLocation(identifiers)
    for (const [index, identifier] of identifiers.entries()) {
      const { parent } = identifier
      const symbol = isShorthandPropertyAssignment(parent)
        ? project.checker.getShorthandAssignmentValueSymbol(parent)
        : symbols[index]
      const handle = symbol && this.#behindImport(symbol).valueDeclaration
      const isOwn = handle?.path.startsWith(folder + '/') ?? false
      this.#declarations.set(identifier, isOwn ? handle!.resolve(project) : undefined)
    }
    for (const file of this.files) walk(file, (node) => this.#note(node))
  }

  /** Where a name is declared, if that is in the source that is read. */
  declarationOf(name: Node): Node | undefined {
    return isIdentifier(name) ? this.#declarations.get(name) : undefined
  }

  /** The function that is called. */
  called(callee: Expression): Callable | undefined {
    const declared = this.declarationOf(isPropertyAccessExpression(callee) ? callee.name : callee)
    const value = declared && isVariableDeclaration(declared) ? declared.initializer : declared
    return value && isCallable(value) ? value : undefined
  }

  /** The arguments of each call of a function. `undefined` if there is none. */
  callsOf(called: Callable): readonly (readonly Expression[])[] | undefined {
    return this.#calls.get(called)
  }

  /** All values that any object is given for a property of that name. */
  propertiesNamed(name: string): readonly Expression[] {
    return (this.#properties.get(name) ?? []).map(({ value }) => value)
  }

  /** Where a property of an object is declared. */
  propertyOf(object: Expression, name: string): Node | undefined {
    return this.#declaredIn(this.#project.checker.getTypeAtLocation(object), name)
  }

  /** The values that objects are given for a declared property, by literals and by constructors. */
  valuesOf(declared: Node, name: string): Expression[] {
    const { checker } = this.#project
    const isOf = ({ object }: Property) =>
      object === undefined || this.#declaredIn(checker.getContextualType(object), name) === declared
    return (this.#properties.get(name) ?? []).filter(isOf).map(({ value }) => value)
  }

  #declaredIn(type: Type | undefined, name: string): Node | undefined {
    const { checker } = this.#project
    const whole = type && checker.getNonNullableType(type)
    const handle = whole && checker.getPropertyOfType(whole, name)?.valueDeclaration
    return handle?.path.startsWith(this.#folder + '/') ? handle.resolve(this.#project) : undefined
  }

  /** Whether a value may be a text. */
  isText(node: Expression): boolean {
    const known = this.#textual.get(node)
    if (known !== undefined) return known
    const type = this.#project.checker.getTypeAtLocation(node)
    const isText = type === undefined || !(type.flags & (TypeFlags.NumberLike | TypeFlags.BooleanLike))
    this.#textual.set(node, isText)
    return isText
  }

  #behindImport(symbol: Symbol): Symbol {
    if (!(symbol.flags & SymbolFlags.Alias)) return symbol
    const known = this.#aliases.get(symbol)
    const target = known ?? this.#project.checker.getAliasedSymbol(symbol)
    if (!known) this.#aliases.set(symbol, target)
    return target
  }

  #note(node: Node): void {
    if (isPropertyAssignment(node)) {
      add(this.#properties, node.name.getText(), {
        value: node.initializer,
        object: node.parent as ObjectLiteralExpression,
      })
    }
    if (
      isBinaryExpression(node) &&
      node.operatorToken.getText() === '=' &&
      isPropertyAccessExpression(node.left)
    ) {
      add(this.#properties, node.left.name.getText(), { value: node.right, object: undefined })
    }
    const called = isCallExpression(node) ? this.called(node.expression) : undefined
    if (called && isCallExpression(node)) add(this.#calls, called, [...node.arguments])
  }
}

function add<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const values = map.get(key)
  if (values) values.push(value)
  else map.set(key, [value])
}

export function walk(node: Node, visit: (node: Node) => void): void {
  visit(node)
  node.forEachChild((child) => walk(child, visit))
}

export function isCallable(node: Node): node is Callable {
  return (
    isFunctionDeclaration(node) ||
    isFunctionExpression(node) ||
    isArrowFunction(node) ||
    isMethodDeclaration(node)
  )
}

/** The value of a property that an object literal gives by its name. */
export function valueOf(object: ObjectLiteralExpression, name: string): Expression | undefined {
  for (const property of object.properties) {
    if (isPropertyAssignment(property) && property.name.getText() === name) return property.initializer
    if (
      isShorthandPropertyAssignment(property) &&
      isIdentifier(property.name) &&
      property.name.text === name
    ) {
      return property.name
    }
  }
  return undefined
}
