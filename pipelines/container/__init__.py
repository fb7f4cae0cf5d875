"""What runs in the containers of a compiled pipeline: `python -m tfx_privacy.pipelines.container`.

TFX's own entrypoint expects what Vertex AI hands over. The launcher of open-source Kubeflow Pipelines hands over less,
and this module makes up for it before TFX's entrypoint runs the executor:

* artifacts of earlier steps arrive with a blank type, or with `system.Artifact`: the component's inputs spec, which is
  in the arguments, says what they are;
* URIs are remote (`minio://`, `s3://`, `gs://`), and TFX cannot open the first two: with `--local_mirrors` they become
  the folders that the launcher downloads to and uploads from, and remote URIs again in what is reported. Workers of
  Flink or Dataflow do not see these folders: with `--remote_workers` `gs://` stays, and the others are refused;
* zero-byte objects that stand for folders arrive as files: they are removed; those that this step writes to `gs://` are
  removed as well, or the next step's launcher fails on them;
* `package://PACKAGE/FOLDER` in an argument is data that the image has: it becomes a path;
* parameters without a value arrive as null: they are left out;
* the log of the container arrives as one more output: it is not one of the component's;
* no driver runs: with `--run_driver`, the one of file-based ExampleGens runs here, before the executor.

Everywhere: numeric ids of models in a ModelBlessing become the names by which Kubeflow knows them (TFX does it for
subclasses of its Evaluator alone), and whatever the environment lacks is named before TensorFlow is imported.

The launcher's side of all this, with sources, is in `ir_runner.launcher`.
"""

MODULE = "tfx_privacy.pipelines.container"
COMMAND = ("python", "-m", MODULE)
MIRROR_ROOT_VARIABLE = "TFX_PRIVACY_MIRROR_ROOT"
"""Where the launcher's folders /gcs, /s3 and /minio are, if not at the root of the file system; for
runs without a container."""
