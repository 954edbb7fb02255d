import { autocompletion, completionKeymap, type CompletionSource } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, redo, redoDepth, undo, undoDepth } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { HighlightStyle, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { lintGutter, nextDiagnostic, setDiagnostics, type Diagnostic } from '@codemirror/lint';
import { EditorState, RangeSetBuilder, StateEffect, StateField, type Extension } from '@codemirror/state';
import {
  Decoration,
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
  type DecorationSet,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';

import type { Fault } from '@/api/client';

import { changeBetween } from '../document/edit';

export interface Snapshot {
  text: string;
  caret: number;
  canUndo: boolean;
  canRedo: boolean;
}

/** The text with its caret and its history. It is the editor's only state: all else is read from it. */
export interface TextEditor {
  host: HTMLElement;
  subscribe: (listener: () => void) => () => void;
  snapshot: () => Snapshot;
  /** Takes the text that an edit gave, as one change that can be undone. */
  apply: (text: string) => void;
  /** Puts the caret there; the text scrolls to it. */
  select: (at: number, focus?: boolean) => void;
  mark: (range: { from: number; to: number } | null) => void;
  tell: (faults: Fault[]) => void;
  label: (name: string) => void;
  undo: () => void;
  redo: () => void;
  focus: () => void;
  /** As it is stored: with the line breaks that it came with. */
  source: () => string;
  destroy: () => void;
}

const setRange = StateEffect.define<{ from: number; to: number } | null>();
const setLabel = StateEffect.define<string>();
const selectedLine = Decoration.line({ class: 'cm-of-step' });

const rangeMark = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    let next = marks.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (effect.is(setRange)) next = effect.value ? linesOf(transaction.state, effect.value) : Decoration.none;
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

function linesOf(state: EditorState, range: { from: number; to: number }): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  const { doc } = state;
  const last = doc.lineAt(Math.min(range.to, doc.length)).number;
  for (let line = doc.lineAt(Math.min(range.from, doc.length)).number; line <= last; line++) {
    const { from } = doc.line(line);
    builder.add(from, from, selectedLine);
  }
  return builder.finish();
}

const labelled = StateField.define<string>({
  create: () => '',
  update: (label, { effects }) => effects.find((effect) => effect.is(setLabel))?.value ?? label,
  provide: (field) => EditorView.contentAttributes.from(field, (label) => ({ 'aria-label': label, tabindex: '0' })),
});

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--k-key)' },
  { tag: [tags.string, tags.content, tags.attributeValue], color: 'var(--k-str)' },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: 'var(--k-num)' },
  { tag: [tags.comment, tags.lineComment], color: 'var(--k-com)' },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: 'var(--c-ink-2)' },
]);

const look = EditorView.theme({
  '&': { height: '100%', fontSize: '12px', color: 'var(--c-ink-1)', backgroundColor: 'var(--c-surface)' },
  '&.cm-focused': { outline: '2px solid var(--c-focus)', outlineOffset: '-2px' },
  '.cm-scroller': { fontFamily: 'var(--f-mono)', lineHeight: '20px', letterSpacing: '-.02em' },
  '.cm-content': { padding: '4px 0 40vh', caretColor: 'var(--c-ink-1)' },
  '.cm-cursor': { borderLeftColor: 'var(--c-ink-1)' },
  '.cm-gutters': { backgroundColor: 'transparent', color: 'var(--c-ink-3)', border: '0' },
  '.cm-activeLine': { backgroundColor: 'var(--c-hover)' },
  '.cm-of-step': { backgroundColor: 'var(--c-selected)', boxShadow: 'inset 3px 0 0 var(--c-selected-edge)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'var(--c-brand-soft)',
  },
  '.cm-tooltip': {
    backgroundColor: 'var(--c-surface)',
    color: 'var(--c-ink-1)',
    border: '1px solid var(--c-line-strong)',
    borderRadius: 'var(--r-2)',
    fontFamily: 'var(--f-ui)',
  },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--c-brand-soft)', color: 'var(--c-ink-1)' },
  '.cm-lintRange-error': {
    backgroundImage: 'none',
    textDecoration: 'underline wavy var(--st-err)',
    textUnderlineOffset: '3px',
  },
  '.cm-lintRange-warning': { backgroundImage: 'none', textDecoration: 'underline wavy var(--st-warn)' },
  '.cm-lint-marker': { width: '9px', height: '9px', margin: '6px 1px', content: 'none', backgroundColor: 'var(--st-err)', borderRadius: '2px', rotate: '45deg' },
  '.cm-lint-marker-warning': { backgroundColor: 'var(--st-warn)' },
});

// Ctrl Enter tests the step; it must not also break the line.
const keys = defaultKeymap.filter(({ key }) => key !== 'Mod-Enter');

export function textEditor(source: string, complete: CompletionSource): TextEditor {
  const windows = source.includes('\r\n') && !/(?<!\r)\n/.test(source);
  const host = document.createElement('div');
  host.className = 'cm-editor text-host';
  const listeners = new Set<() => void>();
  const extensions: Extension[] = [
    lineNumbers(),
    lintGutter(),
    history(),
    drawSelection(),
    highlightActiveLine(),
    indentUnit.of('  '),
    yaml(),
    syntaxHighlighting(colours),
    rangeMark,
    labelled,
    look,
    autocompletion({ override: [complete], icons: false }),
    keymap.of([{ key: 'F8', run: nextDiagnostic }, ...completionKeymap, ...keys, ...historyKeymap]),
    EditorView.updateListener.of((update) => {
      if (!update.docChanged && !update.selectionSet) return;
      seen = read();
      for (const listener of listeners) listener();
    }),
  ];
  // The content policy forbids <style>; within a shadow root the editor's styles are no elements.
  const root = host.attachShadow({ mode: 'open' });
  const state = EditorState.create({ doc: source.replaceAll('\r\n', '\n'), extensions });
  const view = new EditorView({ state, root, parent: root });
  const read = (): Snapshot => ({
    text: view.state.doc.toString(),
    caret: view.state.selection.main.head,
    canUndo: undoDepth(view.state) > 0,
    canRedo: redoDepth(view.state) > 0,
  });
  let seen = read();
  return {
    host,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    snapshot: () => seen,
    apply: (text) => {
      const change = changeBetween(view.state.doc.toString(), text);
      if (change) view.dispatch({ changes: change, userEvent: 'input.form' });
    },
    select: (at, focus = false) => {
      const anchor = Math.min(at, view.state.doc.length);
      view.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: 'start', yMargin: 60 }) });
      if (focus) view.focus();
    },
    mark: (range) => view.dispatch({ effects: setRange.of(range) }),
    tell: (faults) => view.dispatch(setDiagnostics(view.state, faults.map((fault) => diagnostic(view.state, fault)))),
    label: (name) => view.dispatch({ effects: setLabel.of(name) }),
    undo: () => void undo(view),
    redo: () => void redo(view),
    focus: () => view.focus(),
    source: () => (windows ? seen.text.replaceAll('\n', '\r\n') : seen.text),
    destroy: () => view.destroy(),
  };
}

export function offsetOf(text: string, line: number, column: number): number {
  let at = 0;
  for (let n = 1; n < line; n++) {
    const next = text.indexOf('\n', at);
    if (next < 0) break;
    at = next + 1;
  }
  return Math.min(at + column - 1, text.length);
}

function diagnostic({ doc }: EditorState, fault: Fault): Diagnostic {
  const line = doc.line(Math.min(Math.max(fault.line ?? 1, 1), doc.lines));
  const from = Math.min(line.from + Math.max((fault.column ?? 1) - 1, 0), line.to);
  const word = /^[^\s#]+(?:[ ]+[^\s#]+)*/.exec(doc.sliceString(from, line.to));
  const severity = fault.severity === 'warning' ? 'warning' : 'error';
  return { from, to: from + (word?.[0].length ?? 0), severity, message: fault.message };
}
