"""The `llm` command: its models and their base URL stand in a file of its own."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

MODELS = """
- model_id: through
  model_name: gpt-5.4-mini
  api_base: {base_url}/v1
"""

with tempfile.TemporaryDirectory() as folder:
    Path(folder, "extra-openai-models.yaml").write_text(MODELS.format(base_url=sys.argv[1]))
    command = [str(Path(sys.executable).with_name("llm")), "-m", "through", "time people year"]
    found = [
        subprocess.run(
            [*command, *more],
            env=os.environ | {"LLM_USER_PATH": folder},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for more in ([], ["--no-stream"])
    ]
print(found)
