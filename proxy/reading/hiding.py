"""Hides credentials that were sent where a reading expects names.  No I/O."""

from msgspec.structs import replace

from proxy.exchange import Reading
from proxy.secrecy.names import masked_keys, masked_name


def hidden(reading: Reading) -> Reading:
    """`reading` without anything that looks like a credential; models are searched hardest.

    Everything that is made of a reading (charge, receipt, row, span, metrics) is made after this.
    """
    return replace(
        reading,
        request_model=masked_name(reading.request_model),
        response_model=masked_name(reading.response_model),
        parts=tuple(
            part if (model := masked_name(part.model)) == part.model else replace(part, model=model)
            for part in reading.parts
        ),
        response_id=masked_keys(reading.response_id),
        service_tier=masked_keys(reading.service_tier),
        finish_reasons=tuple(map(masked_keys, reading.finish_reasons)),
        error_type=masked_name(reading.error_type),
        session_id=masked_keys(reading.session_id),
        attributes={
            name: masked_keys(value) if isinstance(value, str) else value
            for name, value in reading.attributes.items()
        },
    )
