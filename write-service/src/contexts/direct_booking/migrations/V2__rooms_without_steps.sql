-- The numbers of those rooms that a guest is promised to reach without steps. Of the rooms of before nobody has promised it.
-- Beside `rooms`, so that what bookings read of a room type stays as it is, and a service of before can go on writing it.
alter table room_type add column step_free text[] not null default '{}';
