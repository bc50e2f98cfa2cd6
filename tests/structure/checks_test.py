#!/usr/bin/env python3
"""Each check on a small tree: what it finds, and what it lets be."""

import tempfile
import unittest
from pathlib import Path

import core_purity
import doc_paths
import foreign_text
import includes
import names


def findings(check, files):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return check.find(root)


TABLE = {"cmake/dependencies.txt": "# a comment\ntensor:\nplan: tensor\n", "src/tensor/shape.h": "", "src/plan/plan.h": ""}


class Includes(unittest.TestCase):
    def test_a_row_of_the_table_allows(self):
        self.assertEqual(findings(includes, {**TABLE, "src/plan/plan.cpp": '#include "tensor/shape.h"\n'}), [])

    def test_the_standard_library_and_the_own_folder_are_free(self):
        text = '#include <vector>\n#include "plan/plan.h"\n#include "plan.h"\n'
        self.assertEqual(findings(includes, {**TABLE, "src/plan/plan.cpp": text}), [])

    def test_the_wrong_way_is_found(self):
        self.assertEqual(
            findings(includes, {**TABLE, "src/tensor/shape.cpp": '\n#include "plan/plan.h"\n'}),
            ["src/tensor/shape.cpp:2: includes plan/plan.h; cmake/dependencies.txt does not allow plan"],
        )

    def test_a_way_round_by_dots_is_found(self):
        self.assertEqual(
            findings(includes, {**TABLE, "src/tensor/shape.cpp": '#include "../plan/plan.h"\n'}),
            ["src/tensor/shape.cpp:1: includes ../plan/plan.h; cmake/dependencies.txt does not allow plan"],
        )

    def test_public_headers_may_not_reach_inside(self):
        self.assertEqual(
            findings(includes, {**TABLE, "include/pippin/dtype.h": "#include <tensor/shape.h>\n"}),
            ["include/pippin/dtype.h:1: includes tensor/shape.h; cmake/dependencies.txt does not allow tensor"],
        )

    def test_a_folder_without_a_row_is_found(self):
        self.assertEqual(
            findings(includes, {**TABLE, "src/extra/a.cpp": ""}),
            ["src/extra/a.cpp: src/extra has no row in cmake/dependencies.txt"],
        )


class CorePurity(unittest.TestCase):
    def found(self, line, path="src/plan/plan.cpp"):
        return findings(core_purity, {path: line + "\n"})

    def test_printing_and_ending_are_found(self):
        for use in ["std::cout", "printf(", "std::fprintf(", "fmt::print(", "std::exit(", "abort(", "assert(", "::_exit("]:
            name = use.removeprefix("::").removeprefix("std::") if use != "std::cout" else use
            with self.subTest(use):
                self.assertEqual(
                    self.found(f"  {use} 1);"), [f"src/plan/plan.cpp:1: {name} in the core; return an Error instead"]
                )

    def test_headers_that_bring_them_are_found(self):
        self.assertEqual(len(self.found("#include <iostream>")), 1)
        self.assertEqual(len(self.found("#include <cassert>")), 1)

    def test_comments_literals_and_other_words_are_let_be(self):
        for line in [
            "// never abort() here",
            '/* printf(1)\n exit(1) */',
            'auto s = "assert(x)";',
            'auto r = R"(abort() "quoted)";',
            "static_assert(sizeof(int) == 4);",
            "snprintf(buffer, size, format);",
            "guard.exit();",
            "char quote = '\"'; int exits = on_exit(2);",
        ]:
            with self.subTest(line):
                self.assertEqual(self.found(line), [])

    def test_code_after_a_comment_still_counts(self):
        self.assertEqual(
            self.found("/* one\n two */ abort();"), ["src/plan/plan.cpp:2: abort( in the core; return an Error instead"]
        )

    def test_the_command_line_may(self):
        self.assertEqual(self.found("std::cout << 1;", "src/cli/main.cpp"), [])


class DocPaths(unittest.TestCase):
    def found(self, line, **more):
        return findings(doc_paths, {"docs/MAP.md": line + "\n", "src/plan/plan.h": "", "Makefile": "", **more})

    def test_what_exists_passes(self):
        for line in [
            "see `src/plan/plan.h`.",
            "src/plan/   the plan",
            "`src/*/plan.h`, `src/<part>/x.cpp`",
            "[map](../src/plan/plan.h) and [site](https://example.org/src/none)",
            "out goes to build/release/pippin; see Makefile",
        ]:
            with self.subTest(line):
                self.assertEqual(self.found(line), [])

    def test_what_does_not_exist_is_found(self):
        self.assertEqual(self.found("see `src/plan/gone.h`."), ["docs/MAP.md:1: names src/plan/gone.h, which does not exist"])
        self.assertEqual(self.found("`src/*/gone.h`"), ["docs/MAP.md:1: names src/*/gone.h, which does not exist"])
        self.assertEqual(self.found("see GONEFILE.md"), ["docs/MAP.md:1: names GONEFILE.md, which does not exist"])
        self.assertEqual(self.found("[x](gone.md)"), ["docs/MAP.md:1: links to gone.md, which does not exist"])

    def test_a_tree_in_a_fence_counts(self):
        self.assertEqual(
            self.found("```\nsrc/plan/   plans\nsrc/gone/   nothing\n```"),
            ["docs/MAP.md:3: names src/gone/, which does not exist"],
        )


class Names(unittest.TestCase):
    def test_empty_names_are_found_once(self):
        self.assertEqual(
            findings(names, {"src/utils/a.h": "", "src/utils/b.h": "", "src/plan/plan_helpers.cpp": ""}),
            [
                "src/plan/plan_helpers.cpp: a name that says nothing; name it after what it does",
                "src/utils: a name that says nothing; name it after what it does",
            ],
        )

    def test_other_names_are_let_be(self):
        self.assertEqual(findings(names, {"src/plan/commonmark.cpp": "", "src/plan/miscount.h": ""}), [])


class ForeignText(unittest.TestCase):
    def found(self, line):
        return findings(foreign_text, {"README.md": line + "\n"})

    def test_folders_and_hosts_are_found(self):
        for text in ["/wor" + "k/main/src", "/roo" + "t/.cache", "files.python" + "hosted.org", "pyp" + "i.org"]:
            with self.subTest(text):
                self.assertEqual(self.found(f"see {text} there"), [f"README.md:1: names {text}"])

    def test_cargos_lock_file_may_name_its_registry(self):
        line = 'source = "registry+https://github.com/rust-lang/crate' + 's.io-index"\n'
        self.assertEqual(findings(foreign_text, {"engine/Cargo.lock": line}), [])
        self.assertNotEqual(findings(foreign_text, {"engine/Cargo.toml": line}), [])

    def test_relative_and_system_paths_are_let_be(self):
        for line in ["a frame/wor" + "k/x", "/wor" + "kers/x", "/usr/lib/x, /tmp/x", "huggingface.co/model"]:
            with self.subTest(line):
                self.assertEqual(self.found(line), [])


if __name__ == "__main__":
    unittest.main()
