"""The rules, each with a stable code. A code is never reused for another meaning.

PKG: the package's files. CFG: config.json. API: the declared interface. DEP: dependencies. SVC: inference code.
MDL: model files. DET: engine and runtime. REQ: the import request.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        code: Stable code.
        title: The rule in a few words.
        severity: What a broken rule weighs unless the finding says otherwise: error, warning or info.
        reason: Why the rule exists.
        remedy: What to do, for any case of it.
        source: The page of the specification that the rule comes from.
    """

    code: str
    title: str
    severity: str
    reason: str
    remedy: str
    source: str


_PACKAGE = "Model package specifications"
_CONFIG = "Specifications for compiling the model configuration file"
_CODE = "Specifications for compiling model inference code"
_IMPORT = "Importing a meta model from OBS, tables 2 and 3"
_SAFETY = "Airlock: what comes from outside is hostile"

_ALL = (
    # ── the package's files ──────────────────────────────────────────────────────────────────────────────────────────
    Rule(
        code="PKG001", title="The folder holds no `model` folder", severity="error", source=_PACKAGE,
        reason="Everything that belongs to a package lies in a folder named exactly `model`.",
        remedy="Point at the folder that contains `model/`, or upload the package's files under `model/`.",
    ),
    Rule(
        code="PKG002", title="config.json is missing", severity="error", source=_PACKAGE,
        reason="config.json names the engine, the runtime and the interface; nothing is guessed.",
        remedy="Add `model/config.json`.",
    ),
    Rule(
        code="PKG003", title="More than one config.json or customize_service.py", severity="error", source=_PACKAGE,
        reason="A package has exactly one configuration and at most one service.",
        remedy="Keep one, directly under `model/`.",
    ),
    Rule(
        code="PKG004", title="A mandatory model file is missing", severity="error", source=_PACKAGE,
        reason="Each engine loads model files of its own form.",
        remedy="Add the engine's model file, or correct `model_type`.",
    ),
    Rule(
        code="PKG005", title="Several model files where one is needed", severity="error", source=_PACKAGE,
        reason="The engine loads one file; which one is not guessed.",
        remedy="Keep one of them under `model/`, or move the others into a sub-folder.",
    ),
    Rule(
        code="PKG006", title="A file name is unsafe", severity="error", source=_SAFETY,
        reason="Names become paths on the machines that serve the model.",
        remedy="Rename the object.",
    ),
    Rule(
        code="PKG007", title="Two names collide", severity="error", source=_SAFETY,
        reason="Names that differ by case or Unicode form only are one file on some systems; a file is no folder.",
        remedy="Rename one of the two.",
    ),
    Rule(
        code="PKG008", title="The package is too large", severity="error", source=_PACKAGE,
        reason="A model of up to 20 GB is allowed unless the installation says otherwise.",
        remedy="Remove what serving does not need, or ask for a higher `[airlock] max_package_bytes`.",
    ),
    Rule(
        code="PKG009", title="The package has too many files", severity="error", source=_PACKAGE,
        reason="The number of files is bounded so that one package cannot occupy the gate.",
        remedy="Remove what serving does not need, or ask for a higher `[airlock] max_objects`.",
    ),
    Rule(
        code="PKG010", title="Objects outside `model` were left out", severity="info", source=_PACKAGE,
        reason="Only what lies in `model/` belongs to the package.",
        remedy="Nothing needs to be done.",
    ),
    Rule(
        code="PKG011", title="The source points at the `model` folder itself", severity="info", source=_PACKAGE,
        reason="The folder above it is meant; there is only one reading.",
        remedy="Nothing needs to be done.",
    ),
    Rule(
        code="PKG012", title="The archive cannot be unpacked", severity="error", source=_SAFETY,
        reason="An archive is taken where no two readers could see different files in it, and where it is whole.",
        remedy="Make it again with `tar` or `zip`, without encryption, or upload its files as a folder.",
    ),
    Rule(
        code="PKG013", title="A link or a device instead of a file", severity="error", source=_SAFETY,
        reason="A link leads out of the package or round in it, and a device has no bytes that stay the same.",
        remedy="Put the file itself there. TensorFlow's runtimes make a link `1` to the `model` folder themselves.",
    ),
    Rule(
        code="PKG014", title="The package lies one folder deeper in the archive", severity="info", source=_PACKAGE,
        reason="The one folder that holds `model/` is meant; there is only one reading.",
        remedy="Nothing needs to be done.",
    ),
    # ── config.json ──────────────────────────────────────────────────────────────────────────────────────────────────
    Rule(
        code="CFG001", title="Not readable as JSON", severity="error", source=_CONFIG,
        reason="A configuration that two parsers read differently is not a configuration.",
        remedy="Correct the text at that place.",
    ),
    Rule(
        code="CFG002", title="Comment or trailing comma", severity="warning", source=_CONFIG,
        reason="JSON has neither; the meaning is plain, so both are read over.",
        remedy="Remove it.",
    ),
    Rule(
        code="CFG003", title="A key stands twice with different values", severity="error", source=_CONFIG,
        reason="Which one counts depends on the parser.",
        remedy="Keep one.",
    ),
    Rule(
        code="CFG004", title="The configuration is too large or too deep", severity="error", source=_SAFETY,
        reason="A configuration is at most 1 MB and 64 levels deep, and has at most 200 APIs and groups of packages.",
        remedy="Shorten it.",
    ),
    Rule(
        code="CFG005", title="A mandatory field is missing", severity="error", source=_CONFIG,
        reason="The field has no default.",
        remedy="Add the field.",
    ),
    Rule(
        code="CFG006", title="A field has the wrong type", severity="error", source=_CONFIG,
        reason="The field's type is fixed by the specification.",
        remedy="Write a value of the named type.",
    ),
    Rule(
        code="CFG007", title="`model_type` is no known engine", severity="error", source=_CONFIG,
        reason="The engine decides how the model is loaded and served.",
        remedy="Use one of the listed engines.",
    ),
    Rule(
        code="CFG008", title="`runtime` is not one of the engine's runtimes", severity="error", source=_CONFIG,
        reason="A runtime nobody has cannot be built, and another one is never taken silently.",
        remedy="Use one of the engine's runtimes, or leave the field out for the default.",
    ),
    Rule(
        code="CFG009", title="`model_algorithm` breaks its form", severity="error", source=_CONFIG,
        reason="A letter first, at most 36 characters, and none of & ! ' \" < > = ( ) \\ nor Chinese characters.",
        remedy="Use a name such as `image_classification`, `object_detection` or `predict_analysis`.",
    ),
    Rule(
        code="CFG010", title="A field does not fit the engine", severity="error", source=_CONFIG,
        reason="`swr_location` and `health` belong to Image; `runtime` and `dependencies` to every other engine.",
        remedy="Remove the field, or correct `model_type`.",
    ),
    Rule(
        code="CFG011", title="An unknown field", severity="warning", source=_CONFIG,
        reason="The field is read over; a misspelt one would be lost silently.",
        remedy="Remove it, or use the spelling that is meant.",
    ),
    Rule(
        code="CFG012", title="A loose spelling with one meaning", severity="warning", source=_CONFIG,
        reason="Real packages are full of it, so it is read as what is meant.",
        remedy="Use the right spelling.",
    ),
    Rule(
        code="CFG013", title="A metric is not usable", severity="warning", source=_CONFIG,
        reason="Metrics are numbers named f1, recall, precision or accuracy; others are kept out of the comparison.",
        remedy="Write a finite number.",
    ),
    Rule(
        code="CFG014", title="No runtime is named", severity="info", source=_CONFIG,
        reason="The engine's default is used.",
        remedy="Name the runtime that the model was trained with.",
    ),
    Rule(
        code="CFG015", title="`swr_location` is no image reference", severity="error", source=_CONFIG,
        reason="The container engine takes a registry's host, a repository, and a tag or a digest.",
        remedy="Write it as in `swr.example.com/team/model:1.0`.",
    ),
    Rule(
        code="CFG016", title="`swr_location` names whatever is the latest image", severity="warning", source=_CONFIG,
        reason="The same file may mean another image tomorrow; the version keeps the digest of the one tested.",
        remedy="Name a tag that is never moved, or the digest.",
    ),
    Rule(
        code="CFG017", title="The health check cannot be used as it is", severity="error", source=_CONFIG,
        reason="Health is asked for by HTTP at `url`, or by a `command` in the container (EXEC).",
        remedy="Use HTTP with `url`, or EXEC with `command`.",
    ),
    # ── the interface ────────────────────────────────────────────────────────────────────────────────────────────────
    Rule(
        code="API001", title="A declared interface cannot be used", severity="error", source=_CONFIG,
        reason="An engine other than Image serves one API at `/`.",
        remedy="Write a value that is allowed there.",
    ),
    Rule(
        code="API002", title="The content type does not fit the engine", severity="error", source=_CONFIG,
        reason="Machine-learning engines take application/json only; others application/json or multipart/form-data.",
        remedy="Use `application/json`.",
    ),
    Rule(
        code="API003", title="A body schema is not a usable JSON Schema", severity="error", source=_CONFIG,
        reason="Requests are generated from it and responses are checked against it.",
        remedy="Correct the schema at that place.",
    ),
    Rule(
        code="API004", title="No interface is declared", severity="warning", source=_CONFIG,
        reason="Without `apis` neither a request can be generated nor a response be checked.",
        remedy="Declare `apis` with request and response, or bring `model/samples/*.json`.",
    ),
    Rule(
        code="API005", title="A schema keyword is not applied", severity="warning", source=_SAFETY,
        reason="`$ref` and `pattern` from a package are never followed or run; `uniqueItems` has no bound on its cost.",
        remedy="Spell the constraint out with other keywords.",
    ),
    Rule(
        code="API006", title="An API's `port` is unusable", severity="error", source=_CONFIG,
        reason="An image serves an API on a port from 1 to 65535; 8080 where nothing is said.",
        remedy="Write the number of the port that the image listens on.",
    ),
    Rule(
        code="API007", title="Two APIs are the same", severity="error", source=_CONFIG,
        reason="One method and one path have one request and one response.",
        remedy="Keep one of the two.",
    ),
    # ── dependencies ─────────────────────────────────────────────────────────────────────────────────────────────────
    Rule(
        code="DEP001", title="A dependency's name or version breaks its form", severity="error", source=_CONFIG,
        reason="A name is a name: no options, URLs or paths that change where packages come from. A version is one "
        "that pip can look for (PEP 440); which one is never guessed.",
        remedy="Write the plain package name, and the version in `package_version`.",
    ),
    Rule(
        code="DEP002", title="A dependency's restraint is unusable", severity="error", source=_CONFIG,
        reason="EXACT, ATLEAST and ATMOST are known; one is needed when a version is given.",
        remedy="Write EXACT, ATLEAST or ATMOST beside `package_version`.",
    ),
    Rule(
        code="DEP003", title="An unknown installer", severity="error", source=_CONFIG,
        reason="Only pip is known.",
        remedy="Write `\"installer\": \"pip\"`.",
    ),
    Rule(
        code="DEP004", title="A package is listed twice with different versions", severity="error", source=_CONFIG,
        reason="Both cannot hold. A wheel of the package counts by the name and the version of its file.",
        remedy="Keep one.",
    ),
    Rule(
        code="DEP005", title="Dependencies without inference code", severity="warning", source=_CONFIG,
        reason="Only customize_service.py could use them.",
        remedy="Remove them, or add customize_service.py.",
    ),
    Rule(
        code="DEP006", title="A dependency conflicts with the runtime's own pins", severity="error", source=_CONFIG,
        reason="Dependencies are installed under the runtime's pins, so that none changes the engine under a model.",
        remedy="Ask for the version that the runtime has, or use a runtime that has the version.",
    ),
    # ── inference code ───────────────────────────────────────────────────────────────────────────────────────────────
    Rule(
        code="SVC001", title="Inference code is missing", severity="error", source=_CODE,
        reason="The engine's base class loads nothing by itself.",
        remedy="Add `model/customize_service.py` with one class derived from the engine's base class.",
    ),
    Rule(
        code="SVC002", title="Inference code does not compile", severity="error", source=_CODE,
        reason="The runtime's own Python must be able to read it. A coding line may name the encodings that sources "
        "are written in; other codecs are no text, or take minutes for a megabyte.",
        remedy="Correct the syntax at that place, or choose a runtime with another Python.",
    ),
    Rule(
        code="SVC003", title="Inference code is not compiled before the test", severity="info", source=_CODE,
        reason="Only the runtime's own Python can tell its whole syntax, and it is too old or too new for the one that "
        "checks. Its classes and imports are checked all the same.",
        remedy="Nothing needs to be done; the test of the service shows it.",
    ),
    Rule(
        code="SVC004", title="There is not exactly one service class", severity="error", source=_CODE,
        reason="The service is the one class of customize_service.py that is derived from a base class of inference "
        "code and has no subclass there. Where only running the code would tell, as of a class that a function makes, "
        "it is a warning.",
        remedy="Define one class there, derived from the engine's base class.",
    ),
    Rule(
        code="SVC005", title="The base class is another engine's", severity="info", source=_CODE,
        reason="Every base class can be used with every engine; the constructor's arguments and the steps that the "
        "class does not define itself are those of its base class.",
        remedy="Nothing needs to be done.",
    ),
    Rule(
        code="SVC006", title="A method cannot take the arguments that it gets", severity="error", source=_CODE,
        reason="The server constructs the class, and calls its methods, with the arguments of its base class.",
        remedy="Give the method those parameters.",
    ),
    Rule(
        code="SVC007", title="A method looks misspelt", severity="warning", source=_CODE,
        reason="Nothing calls it, and the step of nearly that name is taken from the base class.",
        remedy="Name it as the step, or remove it.",
    ),
    Rule(
        code="SVC008", title="An import finds nothing", severity="error", source=_CODE,
        reason="Modules come from the package, the Python, the runtime's pins and the dependencies; without the module "
        "the service does not start. Where the code changes `sys.path` or brings modules in by other means, one that "
        "lies in any folder of the package counts as found, and one that does not is a warning, as is an import "
        "above the only change.",
        remedy="Add the module to the package, or its distribution to `dependencies`.",
    ),
    Rule(
        code="SVC009", title="Importing the code has effects", severity="warning", source=_SAFETY,
        reason="The service has no network, cannot write outside its home and cannot install packages; what is done "
        "once at import is done again by every worker.",
        remedy="Do it in the constructor or on request, list packages in `dependencies`, or bring the files along.",
    ),
    Rule(
        code="SVC010", title="Nothing computes the prediction", severity="error", source=_CODE,
        reason="The base class has no `_inference` of its own.",
        remedy="Define `_inference(self, data)` in the service class.",
    ),
    # ── model files ──────────────────────────────────────────────────────────────────────────────────────────────────
    Rule(
        code="MDL001", title="Loading a model file runs code", severity="error", source=_SAFETY,
        reason="A pickle is a program. Only names that the engines themselves write are let through.",
        remedy="Save the model with the engine's own classes only (for PyTorch its `state_dict`), or import with "
        "`trust_model_code: true`, which the record keeps.",
    ),
    Rule(
        code="MDL002", title="A model file cannot be read", severity="error", source=_SAFETY,
        reason="What breaks off or contradicts itself would fail later, or be read in two ways.",
        remedy="Save and upload the file again.",
    ),
    Rule(
        code="MDL003", title="A model file is not followed to its end", severity="error", source=_SAFETY,
        reason="Reading is bounded; what was not looked at may run code.",
        remedy="Save it in a plainer form (joblib without compression or with zlib), or import with "
        "`trust_model_code: true`, which the record keeps.",
    ),
    Rule(
        code="MDL004", title="A model archive is damaged or ambiguous", severity="error", source=_SAFETY,
        reason="An archive that two readers see differently can show one file and load another.",
        remedy="Save the model again with `torch.save`, and upload the file as it is.",
    ),
    Rule(
        code="MDL005", title="A model file has no known form", severity="warning", source=_SAFETY,
        reason="It cannot be checked for code; the test of the service shows whether it loads.",
        remedy="Check that it is the file that the engine needs.",
    ),
    Rule(
        code="MDL006", title="A safetensors header is unusable", severity="error", source=_SAFETY,
        reason="The header says where each tensor lies; every byte belongs to exactly one.",
        remedy="Save and upload the file again.",
    ),
    Rule(
        code="MDL007", title="A model asks for code that it does not carry", severity="warning", source=_SAFETY,
        reason="Operators and classes of its author's own are known to inference code alone.",
        remedy="Register them in `customize_service.py` before the model is loaded, or save the model without them.",
    ),
    Rule(
        code="MDL008", title="A model refers to a file that is not in the package", severity="error", source=_SAFETY,
        reason="A name that leads elsewhere would read another model's or the machine's own files.",
        remedy="Put the file beside the model, and save the model with its plain name.",
    ),
    Rule(
        code="MDL009", title="A model file is not read to its end here", severity="info", source=_SAFETY,
        reason="A check of a package in object storage reads no more than it was allowed; the import reads it all.",
        remedy="Allow more with `--max-read`, or check the package where its files lie.",
    ),
    Rule(
        code="MDL010", title="A model in a form that no service loads by itself", severity="info", source=_PACKAGE,
        reason="An engine's own service loads one form of its models; inference code may load others.",
        remedy="Save the model in the form that the engine needs, or load it in `customize_service.py`.",
    ),
    Rule(
        code="MDL011", title="Something else lies in a model file's place", severity="error", source=_PACKAGE,
        reason="A file of no bytes, a pointer of Git LFS and the page of a failed download hold no model.",
        remedy="Fetch the file itself, and upload it again.",
    ),
    # ── engine and runtime ───────────────────────────────────────────────────────────────────────────────────────────
    Rule(
        code="DET001", title="The files contradict `model_type`", severity="error", source=_PACKAGE,
        reason="The engine that `model_type` names would fail to load them; which side is wrong is not guessed.",
        remedy="Correct `model_type`, or bring the engine's own file.",
    ),
    Rule(
        code="DET002", title="The engine has no such runtime", severity="error", source=_IMPORT,
        reason="A runtime nobody has cannot be built, and another one is never taken silently.",
        remedy="Use one of the engine's runtimes.",
    ),
    Rule(
        code="DET003", title="The runtime cannot be had", severity="error", source=_IMPORT,
        reason="What the runtime is made of is published nowhere any more.",
        remedy="Use the runtime that is named as the nearest.",
    ),
    Rule(
        code="DET005", title="The files speak for another engine", severity="warning", source=_PACKAGE,
        reason="They may still be loaded by inference code, with a library that the package brings.",
        remedy="Correct `model_type`, or leave it where the inference code loads them itself.",
    ),
    Rule(
        code="DET006", title="Another version wrote the model", severity="warning", source=_PACKAGE,
        reason="Libraries read what older versions wrote more often than the other way round.",
        remedy="Choose a runtime whose engine has the version that wrote the model.",
    ),
    # ── the import request ───────────────────────────────────────────────────────────────────────────────────────────
    Rule(
        code="REQ001", title="An unknown field", severity="error", source=_IMPORT,
        reason="A misspelt field would be lost silently.",
        remedy="Remove it, or use the spelling that is meant.",
    ),
    Rule(
        code="REQ002", title="A mandatory field is missing", severity="error", source=_IMPORT,
        reason="The field has no default.", remedy="Fill it in.",
    ),
    Rule(
        code="REQ003", title="A field has the wrong type", severity="error", source=_IMPORT,
        reason="The field's type is fixed.", remedy="Write a value of the named type.",
    ),
    Rule(
        code="REQ004", title="The model name breaks its form", severity="error", source=_IMPORT,
        reason="1 to 64 letters, digits, Chinese characters, hyphens and underscores.",
        remedy="Choose a name of 1 to 64 letters, digits, Chinese characters, hyphens and underscores.",
    ),
    Rule(
        code="REQ005", title="The version breaks its form", severity="error", source=_IMPORT,
        reason="Three numbers from 0 to 99 joined by dots, such as 0.0.1.",
        remedy="Write N.N.N, or leave it out for the next one.",
    ),
    Rule(
        code="REQ006", title="Too many or unusable labels", severity="error", source=_IMPORT,
        reason="At most five labels of 1 to 32 visible characters.",
        remedy="Give at most five labels, each of 1 to 32 visible characters.",
    ),
    Rule(
        code="REQ007", title="The description breaks its form", severity="error", source=_IMPORT,
        reason="At most 100 characters and none of ! < > = & ' \".", remedy="Shorten or reword it.",
    ),
    Rule(
        code="REQ008", title="The source location cannot be read", severity="error", source=_IMPORT,
        reason="s3://bucket/prefix/, obs://bucket/prefix/, /bucket/prefix/, file:///path/, or a .tar, .tar.gz or .zip.",
        remedy="Write the bucket and the folder that contains `model/`, or the archive.",
    ),
    Rule(
        code="REQ009", title="An unknown deployment type", severity="error", source=_IMPORT,
        reason="A version can only be deployed as what it was imported for.",
        remedy="Choose from real-time, batch and edge.",
    ),
    Rule(
        code="REQ010", title="A minimum specification is out of range", severity="error", source=_IMPORT,
        reason="The figures become limits of the test and of the deployment.",
        remedy="Choose a value within the limits.",
    ),
    Rule(
        code="REQ011", title="A model document is unusable", severity="error", source=_IMPORT,
        reason="Up to three documents, each a name that starts with a letter and an http(s) URL. Whoever opens a link "
        "does so from inside their own network, where an uploader has nothing to ask: private, local and reserved "
        "addresses are refused, and names without a dot or below localhost, local and internal.",
        remedy="Correct the name or the URL; name a company's own pages by their full domain.",
    ),
    Rule(
        code="REQ012", title="An unknown device", severity="error", source=_IMPORT,
        reason="A runtime is tested on cpu, gpu or ascend.", remedy="Choose from cpu, gpu and ascend.",
    ),
)  # fmt: skip

RULES: dict[str, Rule] = {rule.code: rule for rule in _ALL}
#: Codes of rules that are gone. Records of versions may hold them, so that none is given to another rule.
RETIRED = frozenset({"DET004"})
