"""Expressions and documents that mean harm: each is refused, fails, or is plain text, and quickly."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from monjolo.engine.values import Failure, Value
from monjolo.flow_document import parse

BIG = list(range(300))
DOUBLING = "[1]" + ".map(a, [a, a])" * 25
WIDE = "[x]" + ".map(a, [" + ", ".join(["a"] * 12) + "])"

HARMLESS_TEXT = [
    "{{ 7*7 }}",
    "{{config}}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ request.application.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "#{7*7}",
    "${7*7}",
    "$${7*7}",
    "<%= 7*7 %>",
    "<% import os %>",
    "*{7*7}",
    "@(7*7)",
    "${T(java.lang.Runtime).getRuntime().exec('id')}",
    "#set($x='')#set($rt=$x.class.forName('java.lang.Runtime'))",
    "={{ $json.constructor.constructor('return process')() }}",
    "$({{ 1 }})",
    "%(asctime)s {0.__class__}",
    "`id` $(id) ; id",
]

REFUSED = [
    "x.__class__.__mro__()",
    "().__class__",
    "__import__('os').system('id')",
    "eval('1')",
    "exec('1')",
    "open('/etc/passwd')",
    "getattr(x, 'y')",
    "globals()",
    "this.constructor.constructor('return process')()",
    "$json.constructor",
    "process.mainModule.require('child_process')",
    "{{ 7*7 }}",
    "x.format('a')",
    "x.format_map({})",
    "'%s'.format([x])",
    "cel.bind(a, 1, a)",
    "optional.of(1)",
    "x.?y",
    "math.greatest(1, 2)",
    "base64.decode('aGk=')",
    "type(x)",
    "google.protobuf.Any{type_url: 'x'}",
    "T(java.lang.Runtime)",
    "lambda: 1",
    "[i for i in x]",
    "x if y else 1",
    "x; y",
    "x = 1",
    "x := 1",
    "x ** 2",
    "x // 2",
    "1 +",
    "(((((",
    "'unterminated",
    "`id`",
    "\x00",
    "x\\u0000y z",
    "import os",
    "while(true){}",
    "function(){}",
    "@not_strictly_false(x)",
    "add(1, 2)",
    "div(1, 0)",
    "mul(x, x)",
    "sub(x, x)",
    "_+_(1, 2)",
    "os.environ",
    "env.HOME",
    "secrets",
    "secrets[x]",
    "string(secrets.token)",
    "[secrets.token].map(s, s)",
    "{'a': secrets.token}",
    "steps[x].output",
    ".x",
    "self",
    "(" * 200 + "x" + ")" * 200,
    "[" * 200 + "]" * 200,
    "-" * 9000 + "1",
    "x.matches(x)",
    "matches(x, y + '(')",
    "x.y('// no comment') // but this",
    "x" + ".y" * 2000,
    "x" + "[0]" * 500,
    " && ".join(["x"] * 1200),
    "[" + ",".join(["1"] * 2000) + "]",
    "1" + " + 1" * 400,
    "x ? " * 50 + "1" + " : 1" * 50,
    "'" + "a" * 9000 + "'",
    DOUBLING,
    "size(" + DOUBLING + ")",
    DOUBLING.replace("[1]", "['aaaa']").replace("[a, a]", "a + a"),
    WIDE + ".map(a, [a, a, a, a, a, a, a, a])" * 4,
    "['a']" + ".map(a, a.replace('a', 'aaaaaaaaaaaaaaaa') + a + a + a + a)" * 6,
    "{'a': [1]}" + ".map(k, {'a': k, 'b': k, 'c': k, 'd': k})" * 10,
]

FAILING = [
    "BIG.all(a, BIG.all(b, BIG.all(c, BIG.all(d, a + b + c + d >= 0))))",
    "BIG.map(a, BIG.map(b, BIG.map(c, [a, b, c])))",
    "BIG.exists(a, BIG.exists(b, BIG.exists(c, a + b + c < 0)))",
    "BIG.filter(a, BIG.filter(b, BIG.filter(c, true).size() > 0).size() > 0)",
    "x.long.replace('a', x.long)",
    "x.long.split('').map(c, x.long).join('')",
    "BIG.map(a, x.long).join(x.long)",
    "x.long + x.long + x.long + x.long + x.long + x.long + x.long + x.long + x.long + x.long + x.long",
    "BIG.map(a, x.long + x.long)",
    "x.long.matches('(((a{1,1000}){1,1000}){1,1000})')",
    "BIG.exists(a, x.long.split('').size() < 0)",
    "BIG.exists(a, x.long.replace('a', 'b') == 'x')",
    "BIG.exists(a, x.long.trim().upper().lower() == 'x')",
    "9223372036854775807 + 1",
    "-9223372036854775807 - 2",
    "int('9' + '9999999999999999999999')",
    "timestamp('99999-01-01T00:00:00Z')",
    "duration('999999999999999h')",
    "1 / 0",
    "x.missing.deeper.still",
    "[][0]",
    "int(1e300)",
    "double('nope')",
]


def quickly(work, seconds=2.0):
    start = time.process_time()
    found = work()
    assert time.process_time() - start < seconds
    return found


@pytest.mark.parametrize("text", HARMLESS_TEXT)
def test_other_template_languages_are_plain_text(outcome, text):
    assert outcome.of(text) == Value(text)


@pytest.mark.parametrize("source", REFUSED, ids=range(len(REFUSED)))
def test_a_hostile_expression_is_refused_at_save(outcome, source):
    def save():
        outcome.builder.value("${{" + source + "}}", outcome.place, ("here",))
        return outcome.problems

    assert quickly(save), source


@pytest.mark.parametrize("source", FAILING)
def test_an_expression_that_runs_away_fails_in_time(outcome, source):
    source = source.replace("BIG", "x.big")
    found = quickly(lambda: outcome.of("${{ " + source + " }}", x={"big": BIG, "long": "a" * 100_000}))
    assert isinstance(found, Failure), found


NATIVE = [
    "x.items.filter(i, -1 in x.items)",
    "x.items.exists(i, x.items != x.items)",
    "x.items.exists(i, size(x.items + x.items) < 0)",
    "x.items.exists(i, x.items.join('') == 'b')",
    "x.few.exists(i, x.long.contains('ab'))",
    "x.few.exists(i, size(x.long) < 0)",
    "x.few.exists(i, x.long.matches('b+c'))",
    "x.few.exists(i, size(x.long + x.long) < 0)",
    "x.few.exists(i, x.long.startsWith(x.long + 'x'))",
    "x.few.exists(i, string(x.long) == 'x')",
    "x.few.exists(i, {'a': x.items} != {'a': x.items})",
    "x.few.exists(i, [x.long] != [x.long])",
    "x.few.map(i, x.long).exists(t, t.contains('ab'))",
    "x.few.exists(i, {'k': x.long}[string(i) + 'k'].contains('b') || x['long'].contains('ab'))",
    "x.few.exists(i, x[['long'][0]].contains('ab'))",
    "x.rows.exists(r, x.few.exists(i, r.text.contains('ab')))",
    "x.rows.exists(r, x.few.exists(i, r[['text'][0]].contains('ab')))",
    "x.few.map(i, i).exists(i, -1 in x.items)",
    "x.keyed.exists(k, x.few.exists(i, k.contains('ab')))",
    "[[x.long]].exists(r, r.exists(t, x.few.exists(i, t.contains('ab'))))",
    "x.few.map(i, [x.long]).exists(r, r.exists(t, t.contains('ab')))",
    "x.few.filter(i, true).map(i, {'t': x.long}).exists(r, r.t.contains('ab'))",
    "x.long.split('').exists(c, x.long.contains('ab'))",
    "[x.few][0].exists(i, [x.items][0] != [x.items][0])",
]


@pytest.mark.parametrize("source", NATIVE)
def test_a_loop_over_much_data_is_refused_before_it_holds_everything_up(outcome, source):
    data = {
        "items": list(range(200_000)),
        "long": "a" * 1_000_000,
        "few": list(range(9_000)),
        "rows": [{"text": "a" * 500_000}, {"text": "b"}],
        "keyed": {"a" * 1_000_000: 1},
    }
    found = quickly(lambda: outcome.of("${{ " + source + " }}", x=data))
    assert isinstance(found, Failure), found
    assert found.code == "too_costly"


def test_loops_over_ordinary_data_are_not_refused(outcome):
    rows = [{"id": f"row-{n}", "price": n, "tags": ["a", "b"], "body": "words " * 20} for n in range(3_000)]
    data = {
        "rows": rows,
        "wanted": [f"row-{n}" for n in range(0, 200, 7)],
        "name": "row-7",
        "heavy": [{"t": "a" * 900_000}],
    }
    for source in (
        "size(x.rows.filter(r, r.id in x.wanted))",
        "x.rows.filter(r, r.id == x.name)",
        "x.rows.map(r, r.price * 2 + 1)",
        "x.rows.filter(r, r.body.contains('zz') && 'b' in r.tags)",
        "x.rows.exists(r, r.tags.exists(t, t == 'zz'))",
        "x.rows.filter(r, r.price > 10).map(r, r.id + '!')",
        "x.rows.map(r, r.id).filter(i, i.startsWith('row-1')).size()",
        "x.heavy.filter(h, h.t.contains('zz'))",
        "x.wanted.all(w, x.wanted.exists(v, v == w))",
    ):
        found = quickly(lambda source=source: outcome.of("${{ " + source + " }}", x=data))
        assert isinstance(found, Value), (source, found)


def test_a_regular_expression_takes_time_linear_in_its_text(outcome):
    text = "a" * 60_000 + "!"
    for pattern in ("(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){12}$", "^(([a-z])+.)+[A-Z]([a-z])+$"):
        found = quickly(lambda pattern=pattern: outcome.of("${{ x.matches('" + pattern + "') }}", x=text))
        assert isinstance(found, Value)


def test_python_objects_that_slip_in_give_a_failure(outcome):
    for hostile in (object(), {1: 2}, {"a": {1, 2}}, 2**70, "\ud800", b"x", float("nan"), {"a": lambda: 1}):
        outcome.problems.clear()
        found = outcome.of("${{ [x, x] }}", x=hostile)
        assert isinstance(found, Failure), hostile


# --- documents ----------------------------------------------------------------------------------------------

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]" for n in range(9)
)
BOMBS = {
    "billion laughs": LAUGHS,
    "aliases in flow": "{" + LAUGHS.replace("\n", ", ") + "}",
    "merge bomb": "a: &a {x: 1}\n" + "\n".join(f"k{n}: {{<<: [*a, *a, *a]}}" for n in range(200)),
    "merge without anchor": "a: {<<: {b: 1}}",
    "self reference": "a: &a [*a]",
    "self mapping": "&a a: *a",
    "an anchor alone": "a: &x 1",
    "an anchor on a key": "&k a: 1",
    "an unknown alias": "a: *x",
    "a python object": "a: !!python/object/apply:os.system ['id']",
    "a python name": "a: !!python/name:os.system",
    "a local tag": "a: !x 1",
    "a set": "a: !!set {x, y}",
    "binary": "a: !!binary aGk=",
    "a tag directive": "%TAG ! tag:yaml.org,2002:\n---\na: !str 1",
    "deep flow": "a: " + "[" * 100_000,
    "deep maps": "{a: " * 50_000,
    "deep block": "- " * 200_000,
    "deep keys": "? " * 100_000,
    "deep indents": "\n".join(" " * n + "a:" for n in range(1_000)),
    "many nodes": "a: [" + "1," * 100_000 + "]",
    "many keys": "\n".join(f"k{n}: 1" for n in range(60_000)),
    "a long key": "? " + "k" * 2_000_000 + "\n: 1",
    "too many bytes": "a: " + "x" * 1_100_000,
    "too many bytes of few characters": "a: " + "é" * 600_000,
    "a long number": "a: " + "9" * 100_000,
    "a huge exponent": "a: 1e99999",
    "duplicate": "a: 1\na: 2",
    "duplicate by escape": 'a: 1\n"\\x61": 2',
    "duplicate in JSON": '{"a": 1, "a\\ud83d\\ude00": 1, "a": 2}',
    "two documents": "a: 1\n---\na: 2",
    "a list": "- 1",
    "a scalar": "x",
    "nothing": "",
    "control characters": "a: \x07",
    "a lone surrogate in JSON": '{"a": "\\ud800"}',
    "a deep JSON": '{"\\ud83d\\ude00": ' * 60_000,
    "a huge JSON number": '{"\\ud83d\\ude00": ' + "9" * 10_000 + "}",
    "infinity in JSON": '{"\\ud83d\\ude00": Infinity}',
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_time_and_memory(name):
    tracemalloc.start()
    start = time.process_time()
    found = parse(BOMBS[name])
    spent, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.document is None
    assert found.problems[0].message
    assert peak < 60_000_000
    assert spent < 10.0  # tracing makes it many times slower; what matters is that nothing multiplies


def test_a_bomb_of_aliases_takes_next_to_nothing():
    start = time.process_time()
    parse(LAUGHS)
    assert time.process_time() - start < 0.05
