"""What `training_args.bin` may import, which the Trainer of Transformers 4.3 to 5.23 puts beside every model.

Found by saving the settings with the libraries themselves. They are settings and kinds of settings; those that do
something when they are made with arguments are made without any, see `pickle_policy`.
"""

from __future__ import annotations

NAMES = """\
accelerate.state: PartialState
accelerate.utils.dataclasses: DistributedType
transformers.debug_utils: DebugOption
transformers.trainer_pt_utils: AcceleratorConfig
transformers.trainer_utils: EvaluationStrategy FSDPOption HubStrategy IntervalStrategy SaveStrategy SchedulerType
  ShardedDDPOption
transformers.training_args: OptimizerNames TrainingArguments
transformers.training_args_seq2seq: Seq2SeqTrainingArguments
"""
