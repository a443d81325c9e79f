"""What inference code does beyond definitions while it is imported is told."""

from __future__ import annotations

import pytest

from airlock.domain.findings import Severity
from tests.unit.service_code.code_checks import GOOD, codes, found


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.system('pip install x')", "import subprocess as s\ns.check_call(['x'])",
        "from subprocess import Popen\nPopen('x').wait()", "import requests\nrequests.get('http://x')",
        "open('x', 'w').write('y')", "import os\nif not os.path.exists('x'):\n    os.makedirs('x')",
        "import sys\nsys.exit()", "import shutil\nclass A(object):\n    x = shutil.rmtree('y')", "x = input()",
        "import pip\npip.main(['install', 'x'])",
    ],
)  # fmt: skip
def test_effects_at_import_are_told(text: str) -> None:
    findings = found(GOOD + text + "\n", constraints="requests==2.0\n")
    assert [(code, severity) for code, severity, *_ in findings] == [("SVC009", Severity.WARNING)]
    assert findings[0][2] > 3


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.environ['X'] = '1'\nHERE = os.path.dirname(os.path.abspath(__file__))",
        "import sys\nsys.path.append('x')", "import logging\nlogging.basicConfig()", "LABELS = open('x').read()",
        "import warnings\nwarnings.filterwarnings('ignore')", "import os\ndef f():\n    os.system('x')",
        "import os\nif __name__ == '__main__':\n    os.remove('x')", "import os\nf = lambda: os.remove('x')",
    ],
)  # fmt: skip
def test_ordinary_statements_at_import_are_accepted(text: str) -> None:
    assert codes(GOOD + text + "\n") == []
