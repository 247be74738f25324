"""Parses Python."""

import ast
import re
import warnings

NO_PYTHON = "it is not Python 3"
_PYTHON_2 = re.compile(r"Missing parentheses in call to|multiple exception types|invalid token")


def parse(text: str, otherwise: str = NO_PYTHON) -> ast.Module | str:
    """The syntax of Python code, or a sentence that says why it has none.

    Args:
        text: the code.
        otherwise: how the sentence begins unless the code is written in Python 2.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A notebook may use await outside of functions.
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            tree = compile(text, "<script>", "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        kind = "it is written in Python 2" if _PYTHON_2.search(error.msg) else otherwise
        message = error.msg if error.msg.endswith("?") else f"{error.msg}."
        return f"{kind}: line {error.lineno}: {message}"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"Python cannot read it: {error or 'it is nested too deep'}."
    return tree if isinstance(tree, ast.Module) else "Python cannot read it."
