"""The statements about provisioners, instances made over the wire, their receivers and notifications.

The conventions are those of ``store.statements``.
"""

from sqlalchemy import bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import SQLModel

from store import delivery_tables as t
from store.compiled import Statement
from store.parameters import given_only, param, set_to
from store.tables import Instance

provisioners = SQLModel.metadata.tables["provisioners"]
instances = SQLModel.metadata.tables["instances"]
updates = SQLModel.metadata.tables["instance_updates"]
deliveries = SQLModel.metadata.tables["deliveries"]
notifications = SQLModel.metadata.tables["notifications"]


# Touches a row only where the instance has a receiver at this moment.
_new_notification = {
    **given_only(notifications, "id", "instance_id", "request_number", "body", "created_at", "due_at"),
    "attempts": 0,
    "fence": 0,
}
INSERT_NOTIFICATION = Statement(
    insert(notifications).from_select(
        list(_new_notification),
        select(
            *(
                value if not isinstance(value, int) else bindparam(f"{name}_", value, type_=notifications.c[name].type)
                for name, value in _new_notification.items()
            )
        ).where(
            exists().where(
                deliveries.c.instance_id == param("instance_id", deliveries.c.instance_id),
                deliveries.c.ended_at.is_(None),
            )
        ),
    )
)

# --- provisioners and their instances ---------------------------------------------------------------------

INSERT_PROVISIONER = Statement(
    insert(provisioners).values(given_only(provisioners, "id", "name", "agent", "token_hash", "created_at"))
)
ALL_PROVISIONERS = Statement(select(provisioners).order_by(provisioners.c.created_at, provisioners.c.id), t.Provisioner)
LIVE_PROVISIONERS_NAMED = Statement(
    select(provisioners).where(
        provisioners.c.name == param("name", provisioners.c.name), provisioners.c.revoked_at.is_(None)
    ),
    t.Provisioner,
)
PROVISIONER_BY_TOKEN = Statement(
    select(provisioners).where(
        provisioners.c.token_hash == param("token_hash", provisioners.c.token_hash), provisioners.c.revoked_at.is_(None)
    ),
    t.Provisioner,
)
LIVE_PROVISIONER = Statement(
    select(provisioners.c.id).where(
        provisioners.c.id == param("provisioner_id", provisioners.c.id), provisioners.c.revoked_at.is_(None)
    ),
    str,
)
REVOKE_PROVISIONER = Statement(
    update(provisioners)
    .where(provisioners.c.id == param("provisioner_id", provisioners.c.id), provisioners.c.revoked_at.is_(None))
    .values(revoked_at=param("revoked_at_", provisioners.c.revoked_at))
)
INSTANCE_BY_CREATE_KEY = Statement(
    select(instances).where(
        instances.c.provisioner_id == param("provisioner_id", instances.c.provisioner_id),
        instances.c.create_key == param("create_key", instances.c.create_key),
    ),
    Instance,
)
RENAME_INSTANCE = Statement(
    update(instances)
    .where(instances.c.id == param("instance_id", instances.c.id), instances.c.revoked_at.is_(None))
    .values(name=param("name_", instances.c.name))
)
INSTANCE_UPDATE = Statement(
    select(updates).where(
        updates.c.instance_id == param("instance_id", updates.c.instance_id),
        updates.c.key == param("key", updates.c.key),
    ),
    t.InstanceUpdate,
)
INSERT_INSTANCE_UPDATE = Statement(
    insert(updates).values(given_only(updates, "instance_id", "key", "digest", "answer", "at"))
)

# --- receivers --------------------------------------------------------------------------------------------

has_receiver = (
    deliveries.c.instance_id == param("instance_id", deliveries.c.instance_id),
    deliveries.c.ended_at.is_(None),
)
DELIVERY = Statement(select(deliveries).where(*has_receiver), t.Delivery)
_receiver = ("url", "registration_id", "secret", "configured_at")
CONFIGURE_DELIVERY = Statement(
    upsert(deliveries)
    .values(given_only(deliveries, "instance_id", *_receiver) | {"ended_at": None})
    .on_conflict_do_update(
        index_elements=["instance_id"],
        set_={name: param(name, deliveries.c[name]) for name in _receiver} | {"ended_at": None},
    )
)
END_DELIVERY = Statement(
    update(deliveries)
    .where(deliveries.c.instance_id == param("instance_id", deliveries.c.instance_id), deliveries.c.ended_at.is_(None))
    .values(ended_at=param("ended_at_", deliveries.c.ended_at))
)

# --- notifications ----------------------------------------------------------------------------------------

_now = param("now", notifications.c.created_at)


_due = (
    notifications.c.due_at.is_not(None)
    & (notifications.c.due_at <= _now)
    & or_(notifications.c.leased_until.is_(None), notifications.c.leased_until <= _now)
)
CLAIM_NOTIFICATIONS = Statement(
    update(notifications)
    .where(
        notifications.c.id.in_(
            select(notifications.c.id)
            .where(_due)
            .order_by(notifications.c.due_at, notifications.c.id)
            .limit(bindparam("limit"))
            .scalar_subquery()
        )
    )
    .values(
        attempts=notifications.c.attempts + 1,
        fence=notifications.c.fence + 1,
        **set_to(notifications, "leased_by", "leased_until"),
    )
    .returning(notifications),
    t.Notification,
)
_leased = (notifications.c.id == param("notification_id", notifications.c.id)) & (
    notifications.c.fence == param("is_fence", notifications.c.fence)
)
# Whoever leases it by now: the receiver has it.
NOTIFICATION_DELIVERED = Statement(
    update(notifications)
    .where(notifications.c.id == param("notification_id", notifications.c.id), notifications.c.delivered_at.is_(None))
    .values(leased_by=None, leased_until=None, **set_to(notifications, "delivered_at", "due_at", "last_code"))
)
POSTPONE_NOTIFICATION = Statement(
    update(notifications)
    .where(_leased, notifications.c.due_at.is_not(None))  # delivery may have ended meanwhile
    .values(leased_by=None, leased_until=None, **set_to(notifications, "due_at", "attempts", "last_code"))
)
GIVE_UP_OLD = Statement(
    update(notifications)
    .where(_due, notifications.c.created_at <= param("before", notifications.c.created_at))
    .values(**set_to(notifications, "given_up_at", "due_at"))
    .returning(notifications),
    t.Notification,
)
GIVE_UP_OF_INSTANCE = Statement(
    update(notifications)
    .where(
        notifications.c.instance_id == param("instance_id", notifications.c.instance_id),
        notifications.c.due_at.is_not(None),
    )
    .values(**set_to(notifications, "given_up_at", "due_at"))
)
# A new receiver is told at once what the old one did not take.
HURRY_OF_INSTANCE = Statement(
    update(notifications)
    .where(
        notifications.c.instance_id == param("instance_id", notifications.c.instance_id),
        notifications.c.due_at.is_not(None),
    )
    .values(**set_to(notifications, "due_at"))
)
NEXT_NOTIFICATION_DUE = Statement(
    select(func.min(func.coalesce(notifications.c.leased_until, notifications.c.due_at))).where(
        notifications.c.due_at.is_not(None)
    ),
    lambda at: at,
)
WAITING_NOTIFICATIONS = Statement(
    select(func.count()).select_from(notifications).where(notifications.c.due_at.is_not(None)), int
)
RELEASE_NOTIFICATIONS = Statement(
    update(notifications).where(notifications.c.due_at.is_not(None)).values(leased_by=None, leased_until=None)
)
# As long as a repeat may ask for them (agent-api.md), and no longer.
FORGET_NOTIFICATIONS = Statement(
    delete(notifications).where(
        notifications.c.due_at.is_(None),
        notifications.c.created_at < param("decided_before", notifications.c.created_at),
        func.coalesce(notifications.c.delivered_at, notifications.c.given_up_at)
        < param("ended_before", notifications.c.created_at),
    )
)
FORGET_UPDATES = Statement(delete(updates).where(updates.c.at < param("before", updates.c.at)))
