"""Makes the foraging world known to Gymnasium. Nothing is imported for that: who does not use Gymnasium need not wait for it."""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

ENVIRONMENT_ID = "foraging_snn/Foraging-v0"
ENTRY_POINT = "foraging_snn.environments.gym_env:ForagingEnv"


def register_with_gymnasium() -> None:
    """Register the environment now or, if Gymnasium has not been imported yet, as soon as it is."""
    if "gymnasium" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _WhenImported())  # Gymnasium itself looks for no entry points since 1.0


def _register() -> None:
    import gymnasium

    if ENVIRONMENT_ID not in gymnasium.registry:
        gymnasium.register(id=ENVIRONMENT_ID, entry_point=ENTRY_POINT)


class _WhenImported:
    """A finder of modules that finds Gymnasium, once, where the other finders do, and registers after its import."""

    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register()

            spec.loader.exec_module = execute_and_register
        return spec
