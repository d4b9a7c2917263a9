"""What all checks have in common.  The name of a kind is the tag of its struct."""

import msgspec

from evaluation.checks.case import Answer, Case, Verdict


class Check(
    msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True, omit_defaults=True
):
    """A demand on an answer; its fields are its options."""

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        """Whether `answer` meets it.  Depends on nothing else."""
        raise NotImplementedError

    def mistake(self) -> str:
        """What is wrong with its options beyond their types; "" if nothing is."""
        return ""

    @property
    def kind(self) -> str:
        """Its name in suites and reports."""
        return str(self.__struct_config__.tag)
