"""The statements about agents' installations and their tokens. The conventions are those of ``store.statements``."""

from sqlalchemy import insert, select, update

from store import tables as t
from store.compiled import Statement
from store.parameters import given, param, set_to
from store.statements import credentials, instances

INSERT_INSTANCE = Statement(insert(instances).values(given(instances, "revoked_at")))
LIVE_INSTANCES_NAMED = Statement(
    select(instances).where(instances.c.name == param("name", instances.c.name), instances.c.revoked_at.is_(None)),
    t.Instance,
)
ALL_INSTANCES = Statement(select(instances).order_by(instances.c.created_at, instances.c.id), t.Instance)
REVOKE_INSTANCE = Statement(
    update(instances)
    .where(instances.c.id == param("instance_id", instances.c.id), instances.c.revoked_at.is_(None))
    .values(set_to(instances, "revoked_at"))
)
INSERT_CREDENTIAL = Statement(insert(credentials).values(given(credentials, "revoked_at")))
CREDENTIALS_OF = Statement(
    select(credentials)
    .where(credentials.c.instance_id == param("instance_id", credentials.c.instance_id))
    .order_by(credentials.c.created_at, credentials.c.id),
    t.Credential,
)
REVOKE_CREDENTIAL = Statement(
    update(credentials)
    .where(credentials.c.id == param("credential_id", credentials.c.id), credentials.c.revoked_at.is_(None))
    .values(set_to(credentials, "revoked_at"))
)
# The instance that a token opens, if neither the credential nor the instance was revoked.
INSTANCE_BY_TOKEN = Statement(
    select(instances)
    .join(credentials, credentials.c.instance_id == instances.c.id)
    .where(
        credentials.c.token_hash == param("token_hash", credentials.c.token_hash),
        credentials.c.revoked_at.is_(None),
        instances.c.revoked_at.is_(None),
    ),
    t.Instance,
)
LIVE_INSTANCE = Statement(
    select(instances.c.id).where(
        instances.c.id == param("instance_id", instances.c.id), instances.c.revoked_at.is_(None)
    ),
    str,
)
LIVE_INSTANCE_WITH_ID = Statement(
    select(instances).where(instances.c.id == param("instance_id", instances.c.id), instances.c.revoked_at.is_(None)),
    t.Instance,
)
INSTANCE_BY_ID = Statement(select(instances).where(instances.c.id == param("instance_id", instances.c.id)), t.Instance)
