//! Waits until nothing is under way any more, in any context.

use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::ProgressBar;

use super::write_side::WriteSide;

/// How long nothing may move before it is no longer waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Bookings of which nobody has said yet whether they stand, where and how many.
pub(crate) const UNDECIDED: &str = "select 'bookings that are not paid' as what, count(*) as so_many
    from direct_booking.booking where status = 'PENDING'";

/// Whatever somebody is still to do, where and how much.
pub(crate) const UNFINISHED: &str = "select 'bookings that are not paid' as what, count(*) as so_many
        from direct_booking.booking where status = 'PENDING'
    union all select 'bookings that sites have sold or cancelled, not yet answered', count(*)
        from channel_manager.site_booking where status in ('RECEIVED', 'CANCELLING')
    union all select 'charges and refunds under way', count(*)
        from payments.payment where status in ('AWAITING_CARD', 'CHARGING', 'REFUNDING')
    union all select 'cancelled bookings that are still charged', count(*)
        from direct_booking.booking join payments.payment using (booking_id)
        where booking.status = 'CANCELLED' and payment.status = 'TAKEN'
    union all select 'bookings that Housekeeping has not heard of', count(*)
        from direct_booking.booking left join housekeeping.stay using (booking_id)
        where stay.version is distinct from booking.version
    union all select 'bookings that the Channel manager has not heard of', count(*)
        from direct_booking.booking left join channel_manager.stay using (booking_id)
        where stay.version is distinct from booking.version
    union all select 'room types that the Channel manager has not heard of', count(*)
        from direct_booking.room_type left join channel_manager.room_type as copy using (room_type_id)
        where copy.version is distinct from room_type.version
    union all select 'notices to sites', count(*) from channel_manager.notice where settled < revision";

/// Waits until there is none left. Gives what is left when nothing has moved for a while, in words.
///
/// # Errors
/// When the write side's database cannot be asked.
pub(crate) async fn until_none_is_left(
    write_side: &WriteSide,
    query: &str,
    progress: &ProgressBar,
) -> anyhow::Result<Vec<String>> {
    let (mut last, mut moved) = (Vec::new(), Instant::now());
    loop {
        let rows = write_side.query(query).await?;
        let left: Vec<(String, i64)> =
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<anyhow::Result<_>>()?;
        let count: u64 = left.iter().map(|(_, count)| count.unsigned_abs()).sum();
        progress.set_length(progress.length().unwrap_or_default().max(count));
        progress.set_position(progress.length().context("a bar without a length")? - count);
        if count == 0 {
            return Ok(Vec::new());
        }
        if left != last {
            (last, moved) = (left, Instant::now());
        } else if moved.elapsed() > PATIENCE {
            let stuck = last.into_iter().filter(|(_, count)| *count > 0);
            return Ok(stuck.map(|(what, count)| format!("{count} {what}")).collect());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
