//! Classes for those who hold them.

mod stream;
mod terminal;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use drydock_protocol::{Class, ClassAction, CreateClass, CreatePost, Post, Role};

pub(super) use stream::stream;
pub(super) use terminal::watch;

use super::App;
use crate::classroom::Asker;
use crate::error::Error;
use crate::identity::{Caller, Instructor};

fn asker(caller: &Caller) -> Asker<'_> {
    Asker { person: &caller.person, operator: caller.role >= Role::Operator }
}

/// GET /classes
pub(super) async fn list(State(app): State<App>, Instructor(caller): Instructor) -> Json<Vec<Class>> {
    Json(app.classroom.list(asker(&caller)))
}

/// POST /classes
pub(super) async fn create(
    State(app): State<App>,
    Instructor(caller): Instructor,
    body: Result<Json<CreateClass>, JsonRejection>,
) -> Result<(StatusCode, Json<Class>), Error> {
    let Json(plan) = body?;
    let class = app.classroom.create(&caller.person, &plan).await?;
    Ok((StatusCode::CREATED, Json(class)))
}

/// GET /classes/{class}
pub(super) async fn show(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path(class): Path<String>,
) -> Result<Json<Class>, Error> {
    let room = app.classroom.room(asker(&caller), &class)?;
    Ok(Json(room.class(crate::sessions::now_millis())))
}

/// DELETE /classes/{class}
pub(super) async fn remove(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path(class): Path<String>,
) -> Result<StatusCode, Error> {
    app.classroom.remove(&app.classroom.room(asker(&caller), &class)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// POST /classes/{class}/actions
pub(super) async fn act(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path(class): Path<String>,
    body: Result<Json<ClassAction>, JsonRejection>,
) -> Result<Json<Class>, Error> {
    let room = app.classroom.room(asker(&caller), &class)?;
    let Json(action) = body?;
    Ok(Json(app.classroom.act(&room, action).await?))
}

/// POST /classes/{class}/posts
pub(super) async fn post(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path(class): Path<String>,
    body: Result<Json<CreatePost>, JsonRejection>,
) -> Result<(StatusCode, Json<Post>), Error> {
    let room = app.classroom.room(asker(&caller), &class)?;
    let Json(post) = body?;
    Ok((StatusCode::CREATED, Json(app.classroom.post(&room, &post).await?)))
}

/// DELETE /classes/{class}/posts/{post}
pub(super) async fn take_back(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path((class, post)): Path<(String, u32)>,
) -> Result<StatusCode, Error> {
    app.classroom.take_back(&app.classroom.room(asker(&caller), &class)?, post).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// GET /classes/{class}/progress.csv
pub(super) async fn progress(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path(class): Path<String>,
) -> Result<impl IntoResponse, Error> {
    let room = app.classroom.room(asker(&caller), &class)?;
    let text = app.classroom.progress(&room).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"progress.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, text))
}

/// DELETE /classes/{class}/learners/{learner}
pub(super) async fn remove_learner(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path((class, learner)): Path<(String, u32)>,
) -> Result<StatusCode, Error> {
    app.classroom.drop_member(&app.classroom.room(asker(&caller), &class)?, learner, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// DELETE /classes/{class}/learners/{learner}/hand
pub(super) async fn lower_hand(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path((class, learner)): Path<(String, u32)>,
) -> Result<StatusCode, Error> {
    app.classroom.lower_hand(&app.classroom.room(asker(&caller), &class)?, learner).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// POST /classes/{class}/learners/{learner}/joint
pub(super) async fn ask_joint(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path((class, learner)): Path<(String, u32)>,
) -> Result<StatusCode, Error> {
    set_joint(&app, &caller, &class, learner, true).await
}

/// DELETE /classes/{class}/learners/{learner}/joint
pub(super) async fn end_joint(
    State(app): State<App>,
    Instructor(caller): Instructor,
    Path((class, learner)): Path<(String, u32)>,
) -> Result<StatusCode, Error> {
    set_joint(&app, &caller, &class, learner, false).await
}

/// Terminals are between the learner and who holds the class; operators have no part in it.
async fn set_joint(app: &App, caller: &Caller, class: &str, learner: u32, ask: bool) -> Result<StatusCode, Error> {
    let room = app.classroom.room(Asker { person: &caller.person, operator: false }, class)?;
    app.classroom.set_joint(&room, learner, ask).await?;
    Ok(StatusCode::NO_CONTENT)
}
