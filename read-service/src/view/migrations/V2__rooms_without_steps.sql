-- From here on the view is filled from the second version of the room types' contract, in which a room is an object:
-- [{"number": "101", "stepFree": true}]. A row takes only a higher version than it has, and each document comes on the new topic
-- with the version that it had on the old one: so the view is filled anew.
TRUNCATE view.room_type;
