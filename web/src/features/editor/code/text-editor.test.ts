import { afterEach, expect, test } from 'vitest';

import { offsetOf, textEditor, type TextEditor } from './text-editor';

let editor: TextEditor;
afterEach(() => editor.destroy());

test('a text keeps its line breaks, whatever the editor makes of them', () => {
  editor = textEditor('a: 1\r\nb: 2\r\n', () => null);
  editor.apply('a: 1\nb: 3\n');
  expect(editor.source()).toBe('a: 1\r\nb: 3\r\n');
});

test('an edit from the form is one step of the history', () => {
  editor = textEditor('a: 1\nb: 2\n', () => null);
  editor.apply('a: 1\nb: 20\nc: 3\n');
  expect(editor.snapshot()).toMatchObject({ text: 'a: 1\nb: 20\nc: 3\n', canUndo: true, canRedo: false });
  editor.undo();
  expect(editor.snapshot()).toMatchObject({ text: 'a: 1\nb: 2\n', canUndo: false, canRedo: true });
});

test('a line and a column lead to a place, also beyond the end', () => {
  editor = textEditor('', () => null);
  expect(offsetOf('ab\ncd', 2, 2)).toBe(4);
  expect(offsetOf('ab\ncd', 9, 9)).toBe(5);
});
