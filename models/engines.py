"""The engines by name. Each is imported when it is asked for, because Brian2 takes seconds to import."""

from importlib import import_module

from foraging_snn.models.engine import Engine, EngineError

ENGINES = {
    "event": ("event", "Event", "event-driven: computes only where something happens; the fast one"),
    "brian2": ("brian2_compiled", "Brian2Compiled", "Brian2 as a compiled program (C++ standalone)"),
    "brian2-runtime": ("brian2_runtime", "Brian2Runtime", "Brian2 in this process, slow, for looking inside"),
}


def engine_class(name: str) -> type[Engine]:
    """Class of the engine `name`.

    Raises
    ------
    EngineError
        Unknown name.
    """
    if name not in ENGINES:
        raise EngineError(f"engine: {name!r} given, allowed are {', '.join(ENGINES)}")
    module, class_name, _ = ENGINES[name]
    return getattr(import_module(f"foraging_snn.models.{module}"), class_name)
