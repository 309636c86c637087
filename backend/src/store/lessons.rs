//! Lessons and their texts.

use drydock_protocol::Language;
use sqlx::Row;

use super::Store;

/// A lesson as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct LessonRow {
    /// Folder name.
    pub(crate) slug: String,
    /// Place in the catalogue.
    pub(crate) position: u32,
    /// Hash over its files.
    pub(crate) fingerprint: String,
    /// Settings and checks, JSON.
    pub(crate) definition: String,
    /// Texts per language, JSON.
    pub(crate) texts: Vec<(Language, String)>,
}

/// A picture of a lesson.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LessonFile {
    /// File name.
    pub(crate) name: String,
    /// Content.
    pub(crate) bytes: Vec<u8>,
}

impl Store {
    /// The hash over a lesson's files when it was imported last.
    pub(crate) async fn lesson_fingerprint(&self, slug: &str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar("SELECT fingerprint FROM lessons WHERE slug = ?").bind(slug).fetch_optional(&self.pool).await
    }

    /// Stores a lesson and its pictures in place of its former version.
    pub(crate) async fn put_lesson(&self, lesson: &LessonRow, files: &[LessonFile]) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM lessons WHERE slug = ?").bind(&lesson.slug).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO lessons (slug, position, fingerprint, definition) VALUES (?, ?, ?, ?)")
            .bind(&lesson.slug)
            .bind(lesson.position)
            .bind(&lesson.fingerprint)
            .bind(&lesson.definition)
            .execute(&mut *transaction)
            .await?;
        for (language, document) in &lesson.texts {
            sqlx::query("INSERT INTO lesson_texts (slug, language, document) VALUES (?, ?, ?)")
                .bind(&lesson.slug)
                .bind(language.tag())
                .bind(document)
                .execute(&mut *transaction)
                .await?;
        }
        for file in files {
            sqlx::query("INSERT INTO lesson_files (slug, name, bytes) VALUES (?, ?, ?)")
                .bind(&lesson.slug)
                .bind(&file.name)
                .bind(&file.bytes)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }

    /// Removes the lessons that are not among `slugs` and returns which those were.
    pub(crate) async fn keep_lessons(&self, slugs: &[String]) -> sqlx::Result<Vec<String>> {
        let mut gone: Vec<String> = sqlx::query_scalar("SELECT slug FROM lessons").fetch_all(&self.pool).await?;
        gone.retain(|slug| !slugs.contains(slug));
        for slug in &gone {
            sqlx::query("DELETE FROM lessons WHERE slug = ?").bind(slug).execute(&self.pool).await?;
        }
        Ok(gone)
    }

    /// A picture of a lesson.
    pub(crate) async fn lesson_file(&self, slug: &str, name: &str) -> sqlx::Result<Option<Vec<u8>>> {
        sqlx::query_scalar("SELECT bytes FROM lesson_files WHERE slug = ? AND name = ?")
            .bind(slug)
            .bind(name)
            .fetch_optional(&self.pool)
            .await
    }

    /// All lessons in the catalogue's order.
    pub(crate) async fn lessons(&self) -> sqlx::Result<Vec<LessonRow>> {
        let slugs: Vec<String> =
            sqlx::query_scalar("SELECT slug FROM lessons ORDER BY position, slug").fetch_all(&self.pool).await?;
        let mut lessons = Vec::with_capacity(slugs.len());
        for slug in slugs {
            lessons.extend(self.lesson(&slug).await?);
        }
        Ok(lessons)
    }

    /// One lesson.
    pub(crate) async fn lesson(&self, slug: &str) -> sqlx::Result<Option<LessonRow>> {
        let row = sqlx::query("SELECT position, fingerprint, definition FROM lessons WHERE slug = ?")
            .bind(slug)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let texts = sqlx::query("SELECT language, document FROM lesson_texts WHERE slug = ? ORDER BY language")
            .bind(slug)
            .fetch_all(&self.pool)
            .await?;
        let mut lesson = LessonRow {
            slug: slug.to_owned(),
            position: row.try_get(0)?,
            fingerprint: row.try_get(1)?,
            definition: row.try_get(2)?,
            texts: Vec::with_capacity(texts.len()),
        };
        for text in texts {
            let language: String = text.try_get(0)?;
            lesson.texts.extend(Language::from_tag(&language).zip(Some(text.try_get(1)?)));
        }
        Ok(Some(lesson))
    }
}
